"""Architectures as data, where roots are kept, and how they are built."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mungos.errors import Misuse
from mungos.lab.processors import (
    ARCHITECTURES,
    INCLUDED,
    Unavailable,
    add_root,
    architecture,
    building,
    cache_folder,
    find_root,
    host_architecture,
    host_mirror,
    platform,
    prove,
    remove_root,
    root_path,
    roots,
    wrap,
)
from mungos.lab.processors.places import locked, read_root
from tests.lab.processor_roots import bare_root

MIRROR = "http://mirror.invalid/debian"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MUNGOS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# -- data


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_registration_is_what_debian_registers(name: str) -> None:
    known = ARCHITECTURES[name]
    file = Path(f"/usr/lib/binfmt.d/qemu-{known.qemu}.conf")
    if not file.exists():
        pytest.skip(f"qemu-user-static is not installed, or has no emulator for {name} on this processor")
    ours = known.registration("/emulator").split(":")
    theirs = file.read_text().strip().split(":")
    magic, their_magic = (_bytes(fields[4]) for fields in (ours, theirs))
    mask, their_mask = (_bytes(fields[5]) for fields in (ours, theirs))
    # Where both look, they look for the same.
    for place in range(20):
        both = mask[place] & their_mask[place]
        assert magic[place] & both == their_magic[place] & both
    assert magic[18:] == their_magic[18:20]
    assert ours[6:] == ["/emulator", "PF"]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def test_registration_knows_programs_of_this_machine() -> None:
    known = ARCHITECTURES.get(host_architecture())
    if known is None:
        pytest.skip("this machine's processor is not in the table")
    fields = known.registration("/emulator").split(":")
    header = Path(os.path.realpath(sys.executable)).read_bytes()[:20]
    magic, mask = _bytes(fields[4]), _bytes(fields[5])
    assert bytes(one & other for one, other in zip(header, mask, strict=True)) == bytes(
        one & other for one, other in zip(magic, mask, strict=True)
    )
    assert not known.emulated
    assert known.emulator() is None


def test_unknown_architecture_is_named_with_those_that_are_known() -> None:
    for call in (lambda: architecture("z80"), lambda: wrap("z80", ["true"]), lambda: root_path("../x")):
        with pytest.raises(
            Misuse, match="known are amd64, arm64, armhf, i386, mips64el, ppc64el, riscv64, s390x"
        ):
            call()


def test_emulator_that_is_missing_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: None)
    other = next(each for each in ARCHITECTURES.values() if each.emulated)
    with pytest.raises(Unavailable, match=f"qemu-{other.qemu}-static is missing: .* qemu-user-static"):
        other.emulator()


# -- places


def test_cache_is_mungos_own_else_the_users() -> None:
    assert cache_folder({"MUNGOS_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert cache_folder({"XDG_CACHE_HOME": "/b"}) == Path("/b/mungos")
    assert cache_folder({}) == Path(os.path.expanduser("~/.cache/mungos"))


def test_root_that_was_not_built_is_asked_for() -> None:
    with pytest.raises(Unavailable, match="mungos lab arch add s390x"):
        find_root("s390x")
    with pytest.raises(Unavailable, match="mungos lab arch add s390x"):
        wrap("s390x", ["true"])
    assert roots() == []


def test_what_is_no_root_is_not_listed(cache: Path) -> None:
    bare_root(cache / "roots", architecture="riscv64")
    (cache / "roots" / "something").mkdir()
    (cache / "roots" / ".new-trixie-s390x").mkdir()
    assert [root.architecture for root in roots()] == ["riscv64"]
    assert find_root("riscv64").suite == "bare"


def test_native_is_wrapped_in_nothing_and_is_proven() -> None:
    assert wrap("native", ["ls", "-l"]) == ("ls", "-l")
    proven = platform("native")
    assert (proven.byte_order, proven.emulator, proven.factor) == (sys.byteorder, None, 1.0)


def test_suite_that_can_not_be_one() -> None:
    with pytest.raises(Misuse, match="no name of a Debian release"):
        root_path("s390x", "../../etc")


def test_remove(cache: Path) -> None:
    root = bare_root(cache / "roots")
    root.path.rename(root_path(host_architecture(), "bare"))
    assert remove_root(host_architecture(), "bare")
    assert roots() == []
    assert not remove_root(host_architecture(), "bare")
    assert [path for path in (cache / "roots").iterdir() if path.is_dir()] == []


def test_second_builder_waits_and_gives_up(cache: Path) -> None:
    path = root_path("s390x")
    path.parent.mkdir(parents=True)
    said: list[str] = []
    with (path.parent / ".trixie-s390x.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="somebody else"), locked(path, said.append, patience=0.3):
            pass
    assert len(said) == 1
    with locked(path, said.append, patience=0):
        pass


def test_cache_that_can_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MUNGOS_CACHE", str(tmp_path / "file"))
    with pytest.raises(Unavailable, match="can't write to"):
        add_root(host_architecture())


# -- building, with a stand-in for mmdebstrap: the real one needs a mirror

STAND_IN = """#!/bin/sh
echo "$@" >> {log}
while [ $# -gt 2 ]; do shift; done
target=$1
{action}
mkdir -p $target/etc $target/usr/bin
echo made > $target/usr/bin/thing
"""


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a stand-in for mmdebstrap in the way; returns the file of its command lines."""
    log = tmp_path / "log"
    monkeypatch.setattr(building, "PAUSE", 0.0)
    monkeypatch.setattr(building, "_ARCHIVE_KEYS", tmp_path)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "dpkg-deb").symlink_to("/bin/true")

    def make(action: str) -> Path:
        program = folder / "mmdebstrap"
        program.write_text(STAND_IN.format(log=log, action=action))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return log

    return make


def test_root_is_built_once_and_again_when_the_list_changes(bootstrap: Callable[[str], Path]) -> None:
    log = bootstrap("")
    name = host_architecture()
    root = add_root(name, mirror=MIRROR)
    assert root.path == root_path(name)
    assert (root.path / "usr/bin/thing").exists()
    assert (root.path / "etc/passwd").read_text().startswith("root:")
    assert set(INCLUDED) < set(root.packages)
    assert read_root(root.path) == root
    assert add_root(name, mirror=MIRROR) == root
    assert len(log.read_text().splitlines()) == 1
    smaller = add_root(name, mirror=MIRROR, include=["openssl"])
    assert smaller.packages == tuple(sorted({*building.ALWAYS, "openssl"}))
    add_root(name, mirror=MIRROR, include=["openssl"], rebuild=True)
    lines = log.read_text().splitlines()
    assert len(lines) == 3
    assert f"--architectures={name}" in lines[0]
    assert lines[0].endswith(f" {MIRROR}")
    assert [path.name for path in root.path.parent.iterdir() if path.is_dir()] == [root.name]


def test_failing_is_tried_three_times_and_leaves_what_was_there(bootstrap: Callable[[str], Path]) -> None:
    name = host_architecture()
    log = bootstrap("")
    before = add_root(name, mirror=MIRROR)
    bootstrap("mkdir -p $target/half; echo E: no answer >&2; exit 25")
    said: list[str] = []
    with pytest.raises(Unavailable, match=r"status 25 after 3 tries:\nE: no answer"):
        add_root(name, mirror=MIRROR, rebuild=True, say=said.append)
    assert len(said) == 3
    assert len(log.read_text().splitlines()) == 4
    assert find_root(name) == before
    assert [path.name for path in before.path.parent.iterdir() if path.is_dir()] == [before.name]


def test_what_never_gets_better_is_tried_once(bootstrap: Callable[[str], Path]) -> None:
    log = bootstrap("echo 'E: Unable to locate package nonsense'; exit 100")
    with pytest.raises(Unavailable, match="after the first try"):
        add_root(host_architecture(), mirror=MIRROR, include=["nonsense"])
    assert len(log.read_text().splitlines()) == 1


def test_second_try_may_succeed(bootstrap: Callable[[str], Path], tmp_path: Path) -> None:
    bootstrap(f"[ -e {tmp_path}/tried ] || {{ touch {tmp_path}/tried; exit 1; }}")
    assert add_root(host_architecture(), mirror=MIRROR).path.is_dir()


def test_package_that_can_not_be_one() -> None:
    with pytest.raises(Misuse, match="no name of a Debian package"):
        add_root(host_architecture(), mirror=MIRROR, include=["--option"])


def test_missing_mmdebstrap_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: None)
    with pytest.raises(Unavailable, match="mmdebstrap is missing: install the Debian package mmdebstrap"):
        add_root(host_architecture(), mirror=MIRROR)


def test_mirror_is_that_of_the_machines_own_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "apt-get"
    program.write_text("#!/bin/sh\necho\necho http://mirror.invalid/debian\necho http://other.invalid/\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert host_mirror() == MIRROR
    program.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(Unavailable, match="name one with --mirror"):
        host_mirror()


# -- proof


def test_root_without_a_python_proves_nothing(cache: Path) -> None:
    root = bare_root(cache / "roots")
    with pytest.raises(Unavailable, match=f"no proof that .* runs {host_architecture()}: status 12"):
        prove(root)
    assert not root.proof.exists()


# -- command line


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mungos", "lab", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(60)
def test_command_line_of_arch(cache: Path) -> None:
    listed = run("arch", "list")
    assert listed.returncode == 0, listed.stderr
    assert re.search(
        r"^s390x +big-endian, 64 bits +not built; Debian trixie, else bookworm$", listed.stdout, re.MULTILINE
    )
    wrong = run("arch", "add", "z80")
    assert wrong.returncode == 2
    assert "'z80' is not one of" in wrong.stderr
    nothing = run("arch", "remove", "s390x")
    assert (nothing.returncode, nothing.stderr) == (
        3,
        f"mungos: there is nothing at {cache}/roots/trixie-s390x\n",
    )
    no_list = run("arch", "add", "i386", "--include", "@/nowhere")
    assert no_list.returncode == 2
    assert "can't read the list of packages" in no_list.stderr


@pytest.mark.timeout(60)
def test_command_line_of_compare_says_what_is_wrong() -> None:
    for arguments, complaint in (
        (("--arch", "native", "--", "true"), "wants two processors or more"),
        (("--arch", "native,native", "--", "true"), "each once"),
        (("--arch", "native,z80", "--", "true"), "'z80' is no architecture"),
        (("--arch", "native,s390x", "--ignore", "(", "--", "true"), "no regular expression"),
        (("--arch", "native,riscv64", "--", "true"), "mungos lab arch add riscv64"),
        (("--arch", "native,s390x"), "Missing argument"),
    ):
        done = run("compare", *arguments)
        assert done.returncode == 2, arguments
        assert complaint in done.stderr
