"""Build a Debian root. Packages are only unpacked, no script of theirs runs: nothing is emulated here."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mungos.errors import Misuse
from mungos.lab.processors.architectures import Unavailable, architecture
from mungos.lab.processors.places import Root, clear, locked, put_away, read_root, root_path

__all__ = ["ALWAYS", "INCLUDED", "add_root", "host_mirror"]

RECIPE = "1"  # changes when a root is made differently: those built before are built again
ALWAYS = ("base-files", "bash", "coreutils", "dash", "netbase", "python3", "tzdata")
INCLUDED = (
    "ca-certificates", "findutils", "grep", "openssl", "procps", "python3-cffi", "python3-cryptography",
    "python3-hypothesis", "python3-pip", "python3-pytest", "python3-venv", "sed",
)  # fmt: skip
TRIES = 3
PAUSE = 5.0  # seconds before the second try; twice that before the third
PATIENCE = 900.0  # seconds for one try
_ARCHIVE_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_NEVER_BETTER = ("Unable to locate package", "has no installation candidate", "does not have a Release file")
_PASSWD = {"passwd": "root:x:0:0:root:/root:/bin/sh\n", "group": "root:x:0:\n"}
_CERTIFICATES = ("usr/share/ca-certificates/mozilla", "etc/ssl/certs/ca-certificates.crt")

Say = Callable[[str], None]


def _program(name: str, package: str) -> str:
    found = shutil.which(
        name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    )
    if found is None:
        raise Unavailable(f"{name} is missing: install the Debian package {package}")
    return found


def host_mirror() -> str:
    """The Debian mirror that this machine's own apt sources name first. Raises Unavailable if none."""
    apt = _program("apt-get", "apt")
    asked = [apt, "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Origin: Debian"]
    listed = subprocess.run(  # noqa: S603 - apt itself
        asked, capture_output=True, text=True, check=False, timeout=60
    )
    for line in listed.stdout.splitlines():
        if line.strip():
            return line.strip()
    raise Unavailable("no Debian mirror in the apt sources of this machine: name one with --mirror")


def _packages(include: Sequence[str] | None) -> tuple[str, ...]:
    wanted = set(ALWAYS) | set(INCLUDED if include is None else include)
    for name in wanted:
        if _PACKAGE.fullmatch(name) is None:
            raise Misuse(f"{name!r} is no name of a Debian package")
    return tuple(sorted(wanted))


def _recipe(suite: str, packages: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([RECIPE, suite, *packages]).encode()).hexdigest()[:16]


def add_root(
    name: str,
    *,
    mirror: str | None = None,
    suite: str = "",
    include: Sequence[str] | None = None,
    rebuild: bool = False,
    say: Say = lambda _: None,
) -> Root:
    """Build the root of an architecture, unless it is there and was built from the same list.

    Args:
        name: Debian's name of the architecture.
        mirror: URL of a Debian mirror; None for the one that this machine uses itself.
        suite: Debian release; the architecture's newest when empty.
        include: packages instead of `INCLUDED`; those of `ALWAYS` are added.
        rebuild: build it although it is there.
        say: told what happens, a line at a time.

    Returns:
        The root. It appears at its place whole, or not at all.

    Raises:
        Misuse: an unknown architecture, a suite or a package that can't be one.
        Unavailable: something is missing on this machine, or the packages can't be had; the text says what.
    """
    known = architecture(name)
    packages = _packages(include)
    path = root_path(name, suite)
    suite = path.name[: -len(name) - 1]
    known.emulator()  # said before the download, not after
    with locked(path, say):
        recipe = _recipe(suite, packages)
        if not rebuild and path.is_dir():
            there = read_root(path)
            if there is not None and there.recipe == recipe:
                return there
        bootstrap = _program("mmdebstrap", "mmdebstrap")
        _program("dpkg-deb", "dpkg")
        if not _ARCHIVE_KEYS.exists():
            raise Unavailable(
                f"{_ARCHIVE_KEYS} is missing: install the Debian package debian-archive-keyring"
            )
        mirror = mirror or host_mirror()
        fresh = path.parent / f".new-{path.name}"
        clear(fresh)
        say(f"unpacking {suite} for {name} from {mirror}")
        _unpack(_command(bootstrap, name, suite, packages, mirror, fresh), fresh, say)
        _finish(fresh)
        built = datetime.now(UTC).isoformat(timespec="seconds")
        root = Root(path, name, suite, packages, mirror, built, recipe)
        root.write_note(fresh)
        if path.exists():
            put_away(path)
        fresh.rename(path)
        root.proof.unlink(missing_ok=True)
    return root


def _command(
    bootstrap: str, name: str, suite: str, packages: Sequence[str], mirror: str, to: Path
) -> list[str]:
    line = [
        bootstrap,
        "--quiet",
        "--variant=extract",
        f"--architectures={name}",
        f"--include={','.join(packages)}",
    ]
    line += ['--aptopt=Acquire::Retries "3"', '--aptopt=Acquire::http::Timeout "30"']
    if os.geteuid() != 0:
        # In a user namespace that knows one user only, packages are unpacked as that one.
        line = [
            "unshare",
            "--user",
            "--map-root-user",
            *line,
            "--mode=chrootless",
            '--aptopt=APT::Sandbox::User "root"',
        ]
    return [*line, suite, str(to), mirror]


def _unpack(line: Sequence[str], to: Path, say: Say) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            done = subprocess.run(  # noqa: S603 - mmdebstrap
                line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", timeout=PATIENCE, check=False,
            )  # fmt: skip
            status, said = done.returncode, done.stdout
        except subprocess.TimeoutExpired:
            status, said = 124, f"not done after {PATIENCE:g} s"
        if status == 0:
            return
        clear(to)
        last = "\n".join(said.strip().splitlines()[-10:])
        hopeless = any(text in said for text in _NEVER_BETTER)
        if hopeless or attempt == TRIES:
            tries = f"{attempt} tries" if attempt > 1 else "the first try"
            raise Unavailable(f"mmdebstrap failed with status {status} after {tries}:\n{last}")
        say(f"mmdebstrap failed with status {status}, trying again: {last}")
        time.sleep(PAUSE * attempt)


def _finish(root: Path) -> None:
    """What scripts of the packages would have made, as far as it is wanted."""
    for folder in ("proc", "sys", "dev", "src", "tmp", "mnt", "var/cache/python"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    etc = root / "etc"
    for name, text in _PASSWD.items():
        if not (etc / name).exists() or not (etc / name).stat().st_size:
            (etc / name).write_text(text)
    for name in ("hosts", "resolv.conf"):
        # The machine's own are put over these at each run.
        if not (etc / name).exists():
            (etc / name).write_text("")
    authorities, bundle = (root / place for place in _CERTIFICATES)
    if authorities.is_dir():
        bundle.parent.mkdir(parents=True, exist_ok=True)
        bundle.write_text("".join(path.read_text() for path in sorted(authorities.glob("*.crt"))))
