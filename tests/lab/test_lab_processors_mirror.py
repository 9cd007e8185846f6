"""A mirror that lacks files of a Debian release: real apt asks it, over HTTP."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

import mungos
from mungos.lab.processors import (
    ARCHITECTURES,
    MirrorLacks,
    Root,
    Unavailable,
    add_root,
    building,
    find_root,
    host_architecture,
    root_path,
    roots,
)
from mungos.lab.processors.mirror import MOST_NAMED, missing_files
from mungos.lab.processors.places import NOTE, read_root
from tests.lab.debian_mirror import VERSION, Mirror, unsigned_bootstrap
from tests.lab.processor_roots import interpreter_for_everybody

pytestmark = pytest.mark.timeout(30)
real = pytest.mark.foreign("mmdebstrap")
NAME = host_architecture()
NEW, OLD = "trixie", "bookworm"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    """A mirror that lacks nothing."""
    if NAME not in ARCHITECTURES or len(ARCHITECTURES[NAME].suites) < 2:
        pytest.skip(f"one release alone has {NAME}")
    return Mirror(tmp_path_factory.mktemp("mirror") / "debian", NAME, [NEW, OLD])


@pytest.fixture
def mirror(whole: Mirror, tmp_path: Path) -> Mirror:
    """A copy of it, to be damaged."""
    copy = Mirror(tmp_path / "debian", NAME, [])
    shutil.copytree(whole.folder, copy.folder)
    return copy


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The suites for which mmdebstrap was run so far."""
    log = tmp_path / "asked"
    monkeypatch.setenv("MUNGOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(building, "TRIES", 1)
    if shutil.which("mmdebstrap"):
        unsigned_bootstrap(tmp_path / "bin", log)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return lambda: log.read_text().split() if log.exists() else []


def add(
    url: str, *, suite: str = "", rebuild: bool = False, include: tuple[str, ...] = ()
) -> tuple[Root, str]:
    """The root, and what was said while it was built."""
    said: list[str] = []
    root = add_root(NAME, mirror=url, suite=suite, include=include, rebuild=rebuild, say=said.append)
    return root, "\n".join(said)


def suite_of(root: Root) -> str:
    """The release whose packages are really in it."""
    return (root.path / "usr" / "bash").read_text()


@real
def test_newest_release_is_taken_where_the_mirror_is_whole(
    mirror: Mirror, asked: Callable[[], list[str]]
) -> None:
    with mirror.served() as url:
        root, _ = add(url)
    assert (root.suite, suite_of(root), root.instead) == (NEW, NEW, "")
    assert asked() == [NEW]


@real
def test_packages_that_the_mirror_lacks_send_to_the_next_release(
    mirror: Mirror, asked: Callable[[], list[str]]
) -> None:
    mirror.file(NEW, "bash").unlink()
    mirror.file(NEW, "dash").unlink()
    with mirror.served() as url:
        root, said = add(url)
        assert (root.suite, suite_of(root)) == (OLD, OLD)
        assert f"{url} lacks files of {NEW} for {NAME} (404):" in said
        for package in ("bash", "dash"):
            assert f"  pool/{NEW}/{package}_{VERSION}_{NAME}.deb\n" in said
        assert "--suite" in said
        assert "--mirror" in said
        assert root.instead.startswith(f"in place of {NEW}, of which {url} lacked 2 files (bash, dash) on 20")
    assert asked() == [NEW, OLD]
    assert find_root(NAME) == root == read_root(root.path)
    assert not root_path(NAME, NEW).exists()


@real
def test_index_that_the_mirror_lacks_sends_to_the_next_release(
    mirror: Mirror, asked: Callable[[], list[str]]
) -> None:
    mirror.index(NEW).unlink()
    with mirror.served() as url:
        root, said = add(url)
    assert root.suite == OLD
    assert f"  dists/{NEW}/main/binary-{NAME}/Packages\n" in said
    assert asked() == [NEW, OLD]


@real
def test_mirror_of_no_release_at_all_lacks_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # apt as it is: of a release that it may not trust unsigned it asks nothing more.
    monkeypatch.setenv("MUNGOS_CACHE", str(tmp_path / "cache"))
    empty = Mirror(tmp_path / "debian", NAME, [])
    empty.folder.mkdir()
    with empty.served() as url, pytest.raises(MirrorLacks) as raised:
        add(url)
    assert raised.value.lacking == {
        suite: (f"dists/{suite}/Release",) for suite in ARCHITECTURES[NAME].suites
    }
    assert roots() == []


@real
def test_mirror_that_lacks_every_release_is_told_with_each(
    mirror: Mirror, asked: Callable[[], list[str]]
) -> None:
    mirror.file(NEW, "python3").unlink()
    mirror.file(OLD, "tzdata").unlink()
    with mirror.served() as url, pytest.raises(MirrorLacks) as raised:
        add(url)
    assert raised.value.lacking == {
        suite: (f"pool/{suite}/{package}_{VERSION}_{NAME}.deb",)
        for suite, package in ((NEW, "python3"), (OLD, "tzdata"))
    }
    assert f"1 file (python3) of {NEW}; 1 file (tzdata) of {OLD}" in str(raised.value)
    assert asked() == [NEW, OLD]
    assert roots() == []
    left = [path for path in root_path(NAME).parent.iterdir() if path.is_dir()]
    assert left == []


@real
def test_release_that_was_named_has_no_next(mirror: Mirror, asked: Callable[[], list[str]]) -> None:
    mirror.file(NEW, "bash").unlink()
    with mirror.served() as url, pytest.raises(MirrorLacks, match=r"1 file \(bash\) of trixie: they are"):
        add(url, suite=NEW)
    assert asked() == [NEW]


@real
def test_older_release_stands_in_for_a_day_and_then_the_newer_one_is_asked_for(
    mirror: Mirror, asked: Callable[[], list[str]]
) -> None:
    lost = mirror.file(NEW, "bash")
    lost.rename(lost.with_suffix(".kept"))
    with mirror.served() as url:
        first, _ = add(url)
        second, said = add(url)
        assert second == first
        assert f"Debian {OLD} in place of {NEW}" in said
        assert asked() == [NEW, OLD]
        a_day_ago = (first.path / NOTE).stat().st_mtime - building.ASK_AGAIN
        os.utime(first.path / NOTE, (a_day_ago, a_day_ago))
        assert add(url)[0] == first  # still lacking: it was there, and is not built again
        assert asked() == [NEW, OLD, NEW]
        assert add(url)[0] == first  # for another day
        assert asked() == [NEW, OLD, NEW]
        os.utime(first.path / NOTE, (a_day_ago, a_day_ago))
        lost.with_suffix(".kept").rename(lost)
        root, _ = add(url)
    assert (root.suite, asked()) == (NEW, [NEW, OLD, NEW, NEW])
    assert find_root(NAME) == root


@real
def test_another_mirror_is_asked_at_once(mirror: Mirror, asked: Callable[[], list[str]]) -> None:
    lost = mirror.file(NEW, "bash")
    lost.rename(lost.with_suffix(".kept"))
    with mirror.served() as url:
        assert add(url)[0].suite == OLD
    lost.with_suffix(".kept").rename(lost)
    with mirror.served() as other:
        assert add(f"{other}/")[0].suite == NEW


@real
def test_root_that_can_not_be_built_again_stays(mirror: Mirror, asked: Callable[[], list[str]]) -> None:
    with mirror.served() as url:
        before, _ = add(url)
        mirror.file(NEW, "bash").unlink()
        with pytest.raises(MirrorLacks):
            add(url, rebuild=True)
        assert find_root(NAME) == before
        assert asked() == [NEW, NEW]


@real
def test_root_of_another_list_makes_room_for_that_of_the_older_release(
    mirror: Mirror, asked: Callable[[], list[str]]
) -> None:
    with mirror.served() as url:
        add(url)
        mirror.file(NEW, "bash").unlink()
        # A list of its own: "dash" is on it anyway, and so the packages are the same.
        changed, said = add_changed(url)
    assert changed.suite == OLD
    assert f"removed {root_path(NAME, NEW)}" in said
    assert find_root(NAME) == changed


def add_changed(url: str) -> tuple[Root, str]:
    """As if the recipe had changed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(building, "RECIPE", "changed")
        return add(url)


@real
@pytest.mark.parametrize("damage", ["deb", "index", "deb and 404"])
def test_files_that_are_not_what_the_index_says_are_no_lack(
    damage: str, mirror: Mirror, asked: Callable[[], list[str]]
) -> None:
    with (mirror.index(NEW) if damage == "index" else mirror.file(NEW, "bash")).open("ab") as file:
        file.write(b"more")
    if damage == "deb and 404":
        mirror.file(NEW, "dash").unlink()
    with mirror.served() as url, pytest.raises(Unavailable, match="unexpected size") as raised:
        add(url)
    assert not isinstance(raised.value, MirrorLacks)
    assert asked() == [NEW]


@real
def test_server_that_is_not_there_lacks_nothing(mirror: Mirror, asked: Callable[[], list[str]]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens
        with pytest.raises(Unavailable, match="Connection refused") as raised:
            add(f"http://127.0.0.1:{bound.getsockname()[1]}/debian")
    assert not isinstance(raised.value, MirrorLacks)
    assert asked() == [NEW]


@real
def test_package_of_no_release_is_a_wrong_option(mirror: Mirror, asked: Callable[[], list[str]]) -> None:
    with mirror.served() as url, pytest.raises(Unavailable, match="Unable to locate package") as raised:
        add(url, include=("nonsense",))
    assert not isinstance(raised.value, MirrorLacks)
    assert asked() == [NEW]


USER = 12345
AS_USER = """
import sys
sys.path.insert(0, sys.argv[1])
from mungos.lab.processors import add_root
root = add_root(sys.argv[3], mirror=sys.argv[2], include=[])
print(root.suite, (root.path / "usr" / "bash").read_text(), sep="|")
"""


@real
@pytest.mark.skipif(os.geteuid() != 0, reason="all of these tests run as an ordinary user")
def test_ordinary_user_unpacks_what_is_of_another_group(mirror: Mirror) -> None:
    source = Path(mungos.__file__).parent.parent
    mirror.file(NEW, "bash").unlink()
    own = Path(tempfile.mkdtemp(prefix="mungos-mirror-"))  # the test's own folder is root's alone
    try:
        unsigned_bootstrap(own / "bin", own / "asked")
        for path in (own, own / "bin", own / "bin" / "mmdebstrap"):
            os.chown(path, USER, USER)
        with mirror.served() as url:
            done = subprocess.run(
                [interpreter_for_everybody(source), "-B", "-c", AS_USER, str(source), url, NAME],
                user=USER, group=USER, extra_groups=[], cwd="/", text=True, timeout=25, check=False,
                env={
                    "PATH": f"{own / 'bin'}:{os.environ['PATH']}", "HOME": str(own), "TMPDIR": str(own),
                    "MUNGOS_CACHE": str(own / "cache"),
                },
                capture_output=True,
            )  # fmt: skip
    finally:
        shutil.rmtree(own)
    if "unshare failed" in done.stderr:
        pytest.skip("no user namespaces here")
    assert (done.returncode, done.stdout) == (0, f"{OLD}|{OLD}\n"), done.stderr


# -- the command line


@real
def test_command_line_tells_a_lack_from_other_failures(
    mirror: Mirror, asked: Callable[[], list[str]]
) -> None:
    def run(url: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "mungos", "lab", "arch", "add", NAME, "--include", "", "--mirror", url]
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=25)

    mirror.file(NEW, "bash").unlink()
    with mirror.served() as url:
        no_python = run(url)
        mirror.file(OLD, "bash").unlink()
        shutil.rmtree(root_path(NAME, OLD))
        lacking = run(url)
    assert no_python.returncode == 3, no_python.stderr  # the root is there, and nothing runs in it
    assert f"in place of {NEW}" in no_python.stderr
    assert lacking.returncode == 77
    assert f"pool/{NEW}/bash_{VERSION}_{NAME}.deb" in lacking.stderr
    assert lacking.stderr.splitlines()[-1].startswith(
        f"mungos: the mirror {url} lacks, for {NAME}, 1 file (bash)"
    )


@real
def test_list_names_the_release_and_why_it_is_not_the_newest(
    mirror: Mirror, asked: Callable[[], list[str]]
) -> None:
    mirror.file(NEW, "bash").unlink()
    with mirror.served() as url:
        add(url)
    line = [sys.executable, "-m", "mungos", "lab", "arch", "list"]
    listed = subprocess.run(line, capture_output=True, text=True, check=False)
    [told] = [each for each in listed.stdout.splitlines() if each.startswith(NAME)]
    assert f"Debian {OLD}, built 20" in told
    assert f"; in place of {NEW}, of which {url} lacked 1 file (bash) on 20" in told


# -- what apt says

FETCH = "E: Failed to fetch http://m/debian/"
REST = "E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?\n"
FAILED = (
    "E: apt download failed: E: apt-get --yes install bash -oDpkg::Use-Pty=false failed\n"
    "E: mmdebstrap failed to run\n"
)


def test_missing_files_are_named_once_and_readably() -> None:
    said = (
        "Err:2 http://m/debian trixie/main s390x libc6 s390x 2.41\n  404  Not Found [IP: 192.0.2.1 80]\n"
        f"{FETCH}pool/main/g/glibc/libc6_2.41-12%2bdeb13u5_s390x.deb  404  Not Found [IP: 192.0.2.1 80]\n"
        + f"{FETCH}pool/x_1%7e1_all.deb  404  Not Found\n" * 2
        + REST
        + FAILED
    )
    assert missing_files(said, "http://m/debian/") == (
        "pool/main/g/glibc/libc6_2.41-12+deb13u5_s390x.deb",
        "pool/x_1~1_all.deb",
    )
    hostile = f"{FETCH}pool/%1b[2Jx_1_all.deb  404  Not Found\n"
    assert missing_files(hostile, "http://m/debian") == ("pool/\\x1b[2Jx_1_all.deb",)


@pytest.mark.parametrize(
    "line",
    [
        f"{FETCH}pool/y.deb  403  Forbidden [IP: 192.0.2.1 80]",
        f"{FETCH}pool/y.deb  500  Internal Server Error",
        f"{FETCH}pool/y.deb  4040  Odd",
        f"{FETCH}pool/404_y.deb  Connection timed out [IP: 192.0.2.1 80]",
        f"{FETCH}pool/y.deb  Hash Sum mismatch",
        "E: Could not resolve 'm'",
        "E: The repository 'http://m/debian trixie InRelease' is not signed.",
        "E: You don't have enough free space in /var/cache/apt/archives/.",
        "E: unable to create directory: No space left on device",
        "E: unshare() failed: Operation not permitted",
        "Error: something of a newer apt",
    ],
)
def test_anything_beside_a_404_is_no_lack(line: str) -> None:
    lack = f"{FETCH}pool/x.deb  404  Not Found\n{REST}"
    assert missing_files(lack + FAILED, "http://m/debian") == ("pool/x.deb",)
    assert missing_files(f"{lack}{line}\n{FAILED}", "http://m/debian") == ()
    assert missing_files(f"{line}\n{FAILED}", "http://m/debian") == ()
    assert missing_files(FAILED, "http://m/debian") == ()


def test_message_counts_what_it_does_not_name() -> None:
    error = MirrorLacks("http://m", "s390x", {NEW: [f"pool/p{number}_1_s390x.deb" for number in range(20)]})
    assert f"20 files (p0, p1, p2, p3, p4, p5, p6, p7 and {20 - MOST_NAMED} more) of {NEW}" in str(error)
