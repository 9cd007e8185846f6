"""resolv.conf, hosts, and the configuration made of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.dns import system
from mungos.dns.config import ResolverConfig, ServerAddress
from mungos.dns.hosts import MAX_HOST_ADDRESSES, Hosts, parse_hosts
from mungos.dns.names import name_to_text
from mungos.dns.resolv_conf import parse_resolv_conf
from mungos.dns.search import candidates
from mungos.dns.system import LOOK_AGAIN_AFTER, SystemFiles, load, system_configuration
from mungos.errors import Misuse


def test_a_whole_resolv_conf() -> None:
    text = (
        "# made by hand\n"
        "; another comment\n"
        "nameserver 192.0.2.53\n"
        "  nameserver\t2001:db8::53 # inline\r\n"
        "nameserver fe80::1%eth0\n"
        "nameserver 192.0.2.54\n"
        "domain ignored.example\n"
        "search Corp.Example. example.com\n"
        "options ndots:2 timeout:3 attempts:4 rotate use-vc edns0\n"
        "sortlist 10.0.0.0\n"
    )
    assert parse_resolv_conf(text) == ResolverConfig(
        servers=(ServerAddress("192.0.2.53"), ServerAddress("2001:db8::53"), ServerAddress("fe80::1%eth0")),
        search=("corp.example", "example.com"),
        ndots=2,
        timeout=3.0,
        attempts=4,
        rotate=True,
        use_stream=True,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ResolverConfig()),
        ("nameserver", ResolverConfig()),
        ("nameserver dns.example.com", ResolverConfig()),
        ("#nameserver 192.0.2.1", ResolverConfig()),
        ("search a.example\ndomain b.example c.example", ResolverConfig(search=("b.example",))),
        ("domain b.example\nsearch", ResolverConfig(search=("b.example",))),
        ("search a.example b.example\nsearch", ResolverConfig(search=("a.example", "b.example"))),
        ("search a.example\nsearch \t", ResolverConfig(search=("a.example",))),
        ("search a.example\ndomain", ResolverConfig(search=("a.example",))),
        ("search a.example\nsearch .", ResolverConfig()),
        ("search .", ResolverConfig()),
        ("search a..b ok.example", ResolverConfig(search=("ok.example",))),
        ("options ndots:99 timeout:99 attempts:99", ResolverConfig(ndots=15, timeout=30.0, attempts=5)),
        ("options ndots:0 timeout:0 attempts:0", ResolverConfig(ndots=0, timeout=1.0, attempts=1)),
        ("options ndots: timeout:-1 attempts:two rotate:1", ResolverConfig()),
        ("options ndots:" + "9" * 10_000, ResolverConfig(ndots=15)),
        ("options ndots:3\noptions timeout:2", ResolverConfig(ndots=3, timeout=2.0)),
        ("search " + " ".join(f"d{n}.example" for n in range(40)), None),
    ],
)
def test_lines_of_resolv_conf(text: str, expected: ResolverConfig | None) -> None:
    config = parse_resolv_conf(text)
    if expected is None:
        assert len(config.search) == 32
    else:
        assert config == expected


@given(st.text(max_size=200), st.sampled_from(["", "nameserver ", "search ", "options ndots:"]))
@settings(max_examples=100, deadline=None)
def test_any_text_is_a_configuration(text: str, start: str) -> None:
    config, hosts = system_configuration(start + text, text)
    assert config.servers
    assert len(hosts) >= 0


@pytest.mark.parametrize(
    "change",
    [
        {"servers": ()},
        {"servers": (("dns.example",),)},
        {"servers": (("192.0.2.1", 0),)},
        {"search": ("a..b",)},
        {"search": ("a",) * 33},
        {"ndots": 16},
        {"timeout": 0.0},
        {"timeout": 31.0},
        {"attempts": 0},
        {"payload_size": 511},
        {"grace": -1.0},
        {"grace": float("nan")},
        {"resolution_delay": 31.0},
        {"level_lifetime": -1.0},
        {"cache_entries": -1},
        {"cache_bytes": 1 << 40},
        {"longest_ttl": float("inf")},
        {"longest_negative_ttl": -0.5},
    ],
)
def test_configuration_out_of_range_is_misuse(change: dict[str, object]) -> None:
    with pytest.raises(Misuse):
        ResolverConfig(**change)  # type: ignore[arg-type]


def test_a_table_of_hosts_made_by_hand_is_found_whatever_its_letters() -> None:
    given = {"Example.ORG.": ("192.0.2.1", "2001:DB8:0::1"), "mapped": ["::ffff:192.0.2.9"], "none": ()}
    hosts = Hosts(given)  # type: ignore[arg-type]  # a list will do
    given.clear()  # it is a copy
    assert hosts.addresses("example.org") == hosts.addresses("EXAMPLE.org.") == ("192.0.2.1", "2001:db8::1")
    assert hosts.addresses("mapped") == ("192.0.2.9",)
    assert hosts.addresses("none") == ()
    assert len(hosts) == 3


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"example.org": 7}, r"addresses\['example.org'\] is 7: write a tuple of addresses"),
        ({"example.org": None}, r"addresses\['example.org'\] is None"),
        ({"example.org": {"192.0.2.1"}}, "is a set"),
        ({"example.org": "192.0.2.1"}, "is '192.0.2.1'"),
        (
            {"a": ("192.0.2.1", "not an address")},
            r"addresses\['a'\]\[1\] is 'not an address': write an address",
        ),
        ({"a": ("192.0.2",)}, r"addresses\['a'\]\[0\] is '192.0.2'"),
        ({"a": (7,)}, r"addresses\['a'\]\[0\] is 7"),
        ({"a": ("",)}, r"addresses\['a'\]\[0\] is ''"),
        ({7: ("192.0.2.1",)}, "a name in addresses is 7"),
        ({b"a": ("192.0.2.1",)}, "a name in addresses is b'a'"),
        ({"": ("192.0.2.1",)}, "host '' is empty"),
        ({"a b": ("192.0.2.1",)}, "host 'a b'"),
        ({"b\xfccher.example": ("192.0.2.1",)}, "A-label"),
        ({"a": ("192.0.2.1",), "A.": ("192.0.2.2",)}, r"addresses\['A.'\] is there twice"),
    ],
)
def test_a_table_of_hosts_made_by_hand_is_judged_whole(table: dict[str, tuple[str, ...]], says: str) -> None:
    with pytest.raises(Misuse, match=says):
        Hosts(table)


def test_a_table_of_hosts() -> None:
    hosts = parse_hosts(
        "127.0.0.1 localhost\n"
        "# 10.0.0.1 commented\n"
        "192.0.2.1\tWWW.Example.com www # inline\r\n"
        "2001:db8::1 www.example.com.\n"
        "192.0.2.1 www.example.com\n"
        "fe80::1%eth0 router\n"
        "::ffff:192.0.2.9 mapped\n"
        "999.0.0.1 bad\n"
        "10.0.0.1\n"
    )
    assert hosts.addresses("www.EXAMPLE.com.") == ("192.0.2.1", "2001:db8::1")
    assert hosts.addresses("www") == ("192.0.2.1",)
    assert hosts.addresses("router") == ("fe80::1%eth0",)
    assert hosts.addresses("mapped") == ("192.0.2.9",)
    assert hosts.addresses("bad") == ()
    assert hosts.addresses("commented") == ()
    assert len(hosts) == 5


@pytest.mark.parametrize(
    "octets",
    [
        b"\xef\xbb\xbf192.0.2.1 first\n192.0.2.2 second\n",
        b"\xef\xbb\xbf\xef\xbb\xbf192.0.2.1 first\n192.0.2.2 second",
        # Two files with a mark each, put together.
        b"\xef\xbb\xbf192.0.2.1 first\n\xef\xbb\xbf192.0.2.2 second\n",
        b"192.0.2.1 first\r\n192.0.2.2 second\r\n",
        b"192.0.2.1\tfirst\n\t 192.0.2.2 \t second\t\n",
        b"192.0.2.1 first\n192.0.2.2 second",
        b"192.0.2.1 first\n192.0.2.2 second # no end",
        b"\n\n192.0.2.1 first\n\0\0\0\n192.0.2.2 second\n\0",
        b"192.0.2.1 first na\0me\n192.0.\0.2 bad\n192.0.2.2 second\n",
        b"\xff\xfe \xff\n192.0.2.1 first \xe9t\xe9\n192.0.2.2 second\n",
        b"\x00" * 100_000 + b"\n192.0.2.1 first\n192.0.2.2 second\n",
    ],
)
def test_a_table_of_hosts_is_read_however_it_was_saved(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "hosts").write_bytes(octets)
    hosts = load(tmp_path / "none", tmp_path / "hosts")[1]
    assert hosts.addresses("first") == ("192.0.2.1",)
    assert hosts.addresses("second") == ("192.0.2.2",)
    assert hosts.addresses("bad") == ()


@pytest.mark.parametrize(
    "octets",
    [
        b"\xef\xbb\xbfnameserver 192.0.2.53\nsearch corp.example\n",
        b"nameserver 192.0.2.53\r\nsearch corp.example\r\n",
        b"nameserver\t192.0.2.53\n\tsearch\t\tcorp.example",
        b"\0\nnameserver 192.0.2.53\nsearch corp.example",
        b"nameserver 192.0.2.53\nsearch corp.example\noptions \xff\xfe ndots:\0\n\xff\n",
    ],
)
def test_a_resolv_conf_is_read_however_it_was_saved(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "resolv.conf").write_bytes(octets)
    config = load(tmp_path / "resolv.conf", tmp_path / "none")[0]
    assert config == ResolverConfig(servers=(ServerAddress("192.0.2.53"),), search=("corp.example",))


def test_of_a_file_without_end_so_much_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mungos.dns.system.MAX_FILE_OCTETS", 100)
    lines = [f"192.0.2.{number} host{number}\n" for number in range(100)]
    (tmp_path / "hosts").write_text("".join(lines))
    hosts = load(tmp_path / "none", tmp_path / "hosts")[1]
    # The line that is cut is none: 192.0.2.5 hos would be another host's.
    whole = "".join(lines)[:100].count("\n")
    assert len(hosts) == whole
    (tmp_path / "hosts").write_bytes(b"x" * 1000)
    assert len(load(tmp_path / "none", tmp_path / "hosts")[1]) == 0


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    config, hosts = load(tmp_path / "pipe", "/dev/zero")
    assert (config, len(hosts)) == (ResolverConfig(), 0)


def test_one_name_has_so_many_addresses_in_the_table() -> None:
    text = "\n".join(f"2001:db8::{number:x} many" for number in range(1, 2000))
    assert len(parse_hosts(text).addresses("many")) == MAX_HOST_ADDRESSES


def test_load_reads_files_and_tolerates_their_absence(tmp_path: Path) -> None:
    resolv, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    assert load(resolv, hosts)[0] == ResolverConfig(servers=(ServerAddress("127.0.0.1", 53),))
    resolv.write_bytes(b"nameserver 192.0.2.53\nsearch \xff\xfe\n")
    hosts.write_bytes(b"192.0.2.1 here\xff here\n")
    config, table = load(resolv, hosts)
    assert config.servers == (ServerAddress("192.0.2.53"),)
    assert table.addresses("here") == ("192.0.2.1",)
    assert len(load(tmp_path, tmp_path)[1]) == len(Hosts())


@pytest.mark.parametrize("way", ["in place", "another file", "away and back", "a link"])
def test_the_systems_files_are_read_again_when_they_have_changed(tmp_path: Path, way: str) -> None:
    resolv, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    if way == "a link":
        resolv.symlink_to("first")
    resolv.write_text("nameserver 192.0.2.53\n")
    hosts.write_text("192.0.2.1 here\n")
    files = SystemFiles(resolv, hosts)
    assert files.current(100.0)[0].servers == (ServerAddress("192.0.2.53"),)
    if way == "another file":
        (tmp_path / "new").write_text("nameserver 192.0.2.54\n")
        (tmp_path / "new").replace(resolv)
    elif way == "a link":
        (tmp_path / "second").write_text("nameserver 192.0.2.54\n")
        resolv.unlink()
        resolv.symlink_to("second")
    else:
        if way == "away and back":
            resolv.unlink()
            assert files.current(150.0)[0] == ResolverConfig()
        resolv.write_text("nameserver 192.0.2.54\n")
        # A clock of the disk's may have the same instant for both.
        os.utime(resolv, ns=(1, 1))
    found, table = files.current(200.0)
    assert found.servers == (ServerAddress("192.0.2.54"),)
    assert table.addresses("here") == ("192.0.2.1",)
    hosts.write_text("192.0.2.2 here and there\n")
    assert files.current(300.0)[1].addresses("here") == ("192.0.2.2",)
    assert files.current(300.0)[0] is found


def test_the_systems_files_are_looked_at_once_a_while_and_read_when_they_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: list[str] = []

    def noted(word: str, call: Callable[[Path], object]) -> Callable[[Path], object]:
        def called(path: Path) -> object:
            work.append(word)
            return call(path)

        return called

    monkeypatch.setattr(system, "stat", noted("look", os.stat))
    monkeypatch.setattr(system, "_text", noted("read", system._text))
    for name in ("resolv.conf", "hosts"):
        (tmp_path / name).touch()
    files = SystemFiles(tmp_path / "resolv.conf", tmp_path / "hosts")
    for step in range(100):
        files.current(100.0 + step * LOOK_AGAIN_AFTER / 100)
    assert work == ["look", "look", "read", "read"]
    files.current(100.0 + LOOK_AGAIN_AFTER)
    assert work == ["look", "look", "read", "read", "look", "look"]


@pytest.mark.parametrize(
    ("host", "ndots", "names"),
    [
        ("www", 1, ["www.a.example", "www.b.example", "www"]),
        ("www", 0, ["www", "www.a.example", "www.b.example"]),
        ("www.", 1, ["www"]),
        ("www.sub", 1, ["www.sub", "www.sub.a.example", "www.sub.b.example"]),
        ("www.sub", 2, ["www.sub.a.example", "www.sub.b.example", "www.sub"]),
        ("www.sub.", 5, ["www.sub"]),
        ("a.b.c", 2, ["a.b.c", "a.b.c.a.example", "a.b.c.b.example"]),
        (".".join(["x" * 62] * 4), 1, [".".join(["x" * 62] * 4)]),
    ],
)
def test_search_list_and_ndots(host: str, ndots: int, names: list[str]) -> None:
    config = ResolverConfig(search=("a.example", "b.example"), ndots=ndots)
    assert [name_to_text(name) for name in candidates(host, config)] == names
