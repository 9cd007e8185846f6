"""What could never be used, or is no value of its kind, is refused where it is given, with what to write."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from mungos import Limits, Manager, websocket
from mungos.dns import ResolverConfig, ServerAddress, parse_hosts, parse_resolv_conf
from mungos.errors import Misuse
from mungos.tls import (
    ClientConfig,
    Credential,
    EarlyDataGuard,
    ExternalPsk,
    ServerConfig,
    SessionCache,
    TicketKeys,
    all_engines,
    select,
)
from mungos.url import parse
from mungos.wires import MemoryNetwork
from tests.cases.world import Notes

PAPERS = Credential(b"-----BEGIN CERTIFICATE-----", b"-----BEGIN PRIVATE KEY-----")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Manager(Limits()), r"wire is a Limits: write KernelWire\(\), .*Manager\(limits=Limits"),  # type: ignore[arg-type]
        (lambda: Manager(host=5), r"host is 5: write an object that has wake_at"),  # type: ignore[arg-type]
        (lambda: Limits(backlog=10**15), r"backlog is 10{15}: write a whole number, 1 to 2147483647$"),
        (lambda: Limits(backlog=1 << 31), r"backlog is 2147483648: write a whole number, 1 to 2147483647$"),
        (lambda: ServerAddress(None), r"a name server's host is None: write \(ServerAddress"),  # type: ignore[arg-type]
        (lambda: ServerAddress("dns.example"), "a name server's host is 'dns.example'"),
        (
            lambda: ServerAddress("192.0.2.1", 0),
            "a name server's port is 0: write a whole number, 1 to 65535",
        ),
        (lambda: parse_hosts(b"::1 a"), "text is b'::1 a': write a str"),  # type: ignore[arg-type]
        (lambda: parse_resolv_conf(b"search a"), "text is b'search a': write a str"),  # type: ignore[arg-type]
        (lambda: parse(b"tcp://a:1"), "url is b'tcp://a:1': write a URL"),  # type: ignore[arg-type]
        (lambda: ClientConfig(roots=b"x", verify=False), "roots are given, and verify=False .*leave one"),
        (lambda: ClientConfig(early_data="resend"), r"early_data is 'resend', .*sessions=SessionCache\(\)"),
        (lambda: ClientConfig(early_data="report"), r"early_data is 'report', .*sessions=SessionCache\(\)"),
        (
            lambda: ServerConfig((PAPERS,), early_data=EarlyDataGuard()),
            r"early_data is for .*tickets=TicketKeys\(\), or leave it out",
        ),
        (
            lambda: ClientConfig(record_size_limit=0),
            "record_size_limit is 0: write a whole number, 64 to 16385$",
        ),
        (
            lambda: ClientConfig(record_size_limit=1),
            "record_size_limit is 1: write a whole number, 64 to 16385$",
        ),
        (
            lambda: ServerConfig(record_size_limit=None),  # type: ignore[arg-type]
            "record_size_limit is None: write a whole number, 64 to 16385$",
        ),
    ],
)
def test_what_has_no_use_is_refused_at_the_call(call: Callable[[], object], says: str) -> None:
    with pytest.raises(Misuse, match=f"^{says}"):
        call()


def test_what_has_its_use_is_taken() -> None:
    assert Limits(backlog=(1 << 31) - 1).backlog
    assert ClientConfig(early_data="resend", sessions=SessionCache()).sessions is not None
    assert ServerConfig((PAPERS,), early_data=EarlyDataGuard(), tickets=TicketKeys()).tickets
    assert ServerAddress("192.0.2.1") == ("192.0.2.1", 53)
    assert repr(ServerAddress("::1", 5353)) == "ServerAddress(host='::1', port=5353)"
    assert ResolverConfig((("192.0.2.1", 54),)).servers == (ServerAddress("192.0.2.1", 54),)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [999, 0, -1, int(signal.SIGKILL), int(signal.SIGSTOP)])
def test_a_signal_that_cannot_be_handled_is_refused_before_any_handler_is_changed(number: int) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Manager() as manager:
        with pytest.raises(Misuse, match=rf"^signals is {number}: write signals that can be handled"):
            manager.run(signals=(signal.SIGTERM, number))
        assert signal.getsignal(signal.SIGTERM) is before
        manager.close(0)


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:0", "tls://127.0.0.1:0"])
@pytest.mark.parametrize("engine", ["opnessl", "", "OpenSSL"])
def test_an_engine_that_is_none_is_refused_in_plain_text_too(url: str, engine: str) -> None:
    with Manager(MemoryNetwork().wire()) as manager:
        with pytest.raises(Misuse, match=r"unknown TLS engine|engine is ''"):
            manager.listen(url, Notes(), tls=ServerConfig((PAPERS,)) if "tls" in url else None, engine=engine)
        manager.close(0)


@pytest.mark.parametrize("backlog", [1 << 31, 1 << 40])
def test_a_backlog_that_the_kernel_cannot_take_is_refused(backlog: int) -> None:
    with Manager() as manager:
        with pytest.raises(
            Misuse, match=r"^backlog is \d+: write a whole number, 1 to 2147483647 \(or None\)$"
        ):
            manager.listen("tcp://127.0.0.1:0", Notes(), backlog=backlog)
        manager.listen("tcp://127.0.0.1:0", Notes(), backlog=(1 << 31) - 1)
        manager.close(0)


@pytest.mark.parametrize(
    "origin", ["x", "https://example.org/", "https://Example.org", "https://a.example:443"]
)
def test_a_client_names_an_origin_as_a_server_does(origin: str) -> None:
    with Manager(MemoryNetwork().wire()) as manager:
        with pytest.raises(Misuse, match=r"^origin is '.*: write an origin as browsers do"):
            websocket.connect(manager, "ws://127.0.0.1:9", Notes(), origin=origin)
        with pytest.raises(Misuse, match=r"^origins is '"):
            websocket.listen(manager, "ws://127.0.0.1:0", Notes(), origins=origin)
        manager.close(0)


ENGINES = [each.name for each in all_engines() if each.present]


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("server_name", ["bücher.example", "exa mple.org", "a..b"])
def test_a_name_that_no_certificate_bears_says_what_to_write(name: str, server_name: str) -> None:
    says = (
        r"xn--\.\.\.; the package idna"
        if not server_name.isascii()
        else 'write the name in the certificate: "'
    )
    with pytest.raises(Misuse, match=says):
        select(name).client(ClientConfig(), server_name)


@pytest.mark.parametrize("name", [each for each in ENGINES if each != "builtin"])
def test_an_engine_that_lacks_something_says_who_has_it(name: str) -> None:
    for config in (ClientConfig(keylog=print), ClientConfig(psks=(ExternalPsk(b"a", bytes(32)),))):
        with pytest.raises(
            Misuse, match=rf"^the engine {name} has no .*: leave it out, or write engine='builtin'$"
        ):
            select(name).client(config, "localhost")


def test_the_docstrings_name_every_field_that_engines_of_libraries_refuse() -> None:
    for config in (ClientConfig, ServerConfig):
        text = (config.__doc__ or "").partition("Attributes:")[0]
        for word in ("keylog", "psks", "early_data", "record_size_limit", "compress_certificates", "suites"):
            assert word in text, (config, word)
        for word in ("groups", "wall", "provider"):
            assert word in text, (config, word)
