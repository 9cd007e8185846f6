"""Build a Debian root. Packages are only unpacked, no script of theirs runs: nothing is emulated here."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mungos.errors import Misuse
from mungos.lab.processors.architectures import Unavailable, architecture
from mungos.lab.processors.mirror import (
    HINT,
    MirrorLacks,
    check_mirror,
    counted,
    host_mirror,
    missing_files,
    needed_program,
    without_password,
)
from mungos.lab.processors.places import (
    Root,
    asked_at,
    clear,
    locked,
    put_away,
    read_root,
    remove_root,
    root_path,
)

__all__ = ["ALWAYS", "INCLUDED", "add_root"]

RECIPE = "1"  # changes when a root is made differently: those built before are built again
ALWAYS = ("base-files", "bash", "coreutils", "dash", "netbase", "python3", "tzdata")
INCLUDED = (
    "ca-certificates", "findutils", "grep", "openssl", "procps", "python3-cffi", "python3-cryptography",
    "python3-hypothesis", "python3-pip", "python3-pytest", "python3-venv", "sed",
)  # fmt: skip
TRIES = 3
PAUSE = 5.0  # seconds before the second try; twice that before the third
PATIENCE = 900.0  # seconds for one try
ASK_AGAIN = 24 * 3600.0  # seconds for which the root of an older release stands in for that of a newer one
_ARCHIVE_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_NEVER_BETTER = ("Unable to locate package", "has no installation candidate")
_ANSWER = re.compile(r"^(Err:.*)\n( +\S.*)$", re.MULTILINE)  # what could not be fetched, and why
_LONGEST = 300  # characters of a line that is repeated
_PASSWD = {"passwd": "root:x:0:0:root:/root:/bin/sh\n", "group": "root:x:0:\n"}
_CERTIFICATES = ("usr/share/ca-certificates/mozilla", "etc/ssl/certs/ca-certificates.crt")

Say = Callable[[str], None]


def _packages(include: Sequence[str] | None) -> tuple[str, ...]:
    wanted = set(ALWAYS) | set(INCLUDED if include is None else include)
    for name in wanted:
        if _PACKAGE.fullmatch(name) is None:
            raise Misuse(f"{name!r} is no name of a Debian package")
    return tuple(sorted(wanted))


def _recipe(suite: str, packages: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([RECIPE, suite, *packages]).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What `add_root` was asked for, judged."""

    name: str
    packages: tuple[str, ...]
    mirror: str | None
    rebuild: bool
    say: Say

    def there(self, suite: str) -> Root | None:
        """The root of this suite, if it was built from the same list."""
        root = read_root(root_path(self.name, suite))
        return root if root is not None and root.recipe == _recipe(suite, self.packages) else None


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

    A release of which the mirror lacks files is passed over for the next older one. The root of that stands
    in for a day; then the newer one is asked for again.

    Args:
        name: Debian's name of the architecture.
        mirror: URL of a Debian mirror; None for the one that this machine uses itself. A password in it is
            shown and kept nowhere.
        suite: Debian release, and no other; those of the architecture, newest first, when empty.
        include: packages instead of `INCLUDED`; those of `ALWAYS` are added.
        rebuild: build it although it is there.
        say: told what happens, a line at a time.

    Returns:
        The root. It appears at its place whole, or not at all.

    Raises:
        Misuse: an unknown architecture; a mirror, a suite or a package that can't be one.
        MirrorLacks: the mirror does not hold files of any of the suites. It is an Unavailable.
        Unavailable: something is missing on this machine, or the packages can't be had; the text says what.
    """
    known = architecture(name)
    if mirror is not None:
        check_mirror(mirror)
    wanted = _Wanted(name, _packages(include), mirror, rebuild, say)
    root_path(name, suite)  # a suite that can't be one is refused
    suites = (suite,) if suite else known.suites
    known.emulator()  # said before the download, not after
    if not rebuild and (standing := _stands_in(wanted, suites)) is not None:
        say(f"Debian {standing.suite} {standing.instead}; it is asked for again after a day")
        return standing
    lacking: dict[str, tuple[str, ...]] = {}
    for each in suites:
        try:
            root = _add(wanted, each)
        except MirrorLacks as error:
            lacking |= error.lacking
            if wanted.there(each) is not None:
                break  # it could not be built again, and stays
            mirror = error.mirror
            if each not in known.suites and f"dists/{each}/Release" in error.lacking[each]:
                raise Unavailable(
                    f"the mirror {mirror} has no Debian release {each!r}: is the name right? Those of {name} "
                    f"are {', '.join(known.suites)}"
                ) from None
            say(f"{mirror} lacks files of {each} for {name} (404):")
            for file in error.lacking[each]:
                say(f"  {file}")
            continue
        return _in_place_of(root, lacking, without_password(mirror or root.mirror), say) if lacking else root
    raise MirrorLacks(mirror or host_mirror(), name, lacking)


def _stands_in(wanted: _Wanted, suites: Sequence[str]) -> Root | None:
    """The root of an older suite that was built, not long ago, in place of a newer one."""
    path = next((path for suite in suites if (path := root_path(wanted.name, suite)).is_dir()), None)
    root = None if path is None else read_root(path)
    if root is None or root.suite == suites[0] or not root.instead or wanted.there(root.suite) is None:
        return None
    fresh = 0 <= time.time() - asked_at(root) < ASK_AGAIN
    asked = wanted.mirror and without_password(wanted.mirror)
    return root if fresh and asked in {None, root.asked or root.mirror} else None


def _in_place_of(root: Root, lacking: dict[str, tuple[str, ...]], asked: str, say: Say) -> Root:
    """This root is the architecture's from now on; those of newer suites are of other lists, and go.

    Args:
        asked: the mirror that lacks their files; the root itself may be from another one, and older.
    """
    told = "; ".join(f"{suite}, of which {asked} lacked {counted(files)}" for suite, files in lacking.items())
    instead = f"in place of {told} on {datetime.now(UTC).date().isoformat()}"
    root = replace(root, instead=instead, asked=asked)
    root.write_note(root.path)
    say(f"Debian {root.suite} {root.instead}; {HINT}")
    for suite in lacking:
        if remove_root(root.architecture, suite):
            say(f"removed {root_path(root.architecture, suite)}, which was made of another list of packages")
    return root


def _add(wanted: _Wanted, suite: str) -> Root:
    name, say = wanted.name, wanted.say
    path = root_path(name, suite)
    with locked(path, say):
        if not wanted.rebuild and (there := wanted.there(suite)) is not None:
            return there
        bootstrap = needed_program("mmdebstrap", "mmdebstrap")
        needed_program("dpkg-deb", "dpkg")
        if not _ARCHIVE_KEYS.exists():
            raise Unavailable(
                f"{_ARCHIVE_KEYS} is missing: install the Debian package debian-archive-keyring"
            )
        mirror = wanted.mirror or host_mirror()
        fresh = path.parent / f".new-{path.name}"
        clear(fresh)
        say(f"unpacking {suite} for {name} from {without_password(mirror)}")
        line = _command(bootstrap, name, suite, wanted.packages, mirror, fresh)
        lacking = _unpack(line, mirror, fresh, say)
        if lacking:
            raise MirrorLacks(mirror, name, {suite: lacking})
        _finish(fresh)
        built = datetime.now(UTC).isoformat(timespec="seconds")
        recipe = _recipe(suite, wanted.packages)
        root = Root(path, name, suite, wanted.packages, without_password(mirror), built, recipe)
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


def _unpack(line: Sequence[str], mirror: str, to: Path, say: Say) -> tuple[str, ...]:
    """Unpack the packages; returns the files that the mirror lacks, when that is why it failed."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": ""}  # it is read, too
    if os.geteuid() != 0:
        # The one user that there is can give a file to nobody else; bookworm has one of the group staff.
        environment["TAR_OPTIONS"] = "--no-same-owner"
    attempt = 0
    while True:
        attempt += 1
        try:
            done = subprocess.run(  # noqa: S603 - mmdebstrap
                line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", timeout=PATIENCE, check=False, env=environment,
            )  # fmt: skip
            status, said = done.returncode, without_password(done.stdout)
        except subprocess.TimeoutExpired:
            status, said = 124, f"not done after {PATIENCE:g} s"
        if status == 0:
            return ()
        clear(to)
        if lacking := missing_files(said, mirror):
            return lacking  # a mirror takes longer than these pauses to become whole
        last = _last_words(said)
        hopeless = any(text in said for text in _NEVER_BETTER)
        if hopeless or attempt == TRIES:
            tries = f"{attempt} tries" if attempt > 1 else "the first try"
            raise Unavailable(f"mmdebstrap failed with status {status} after {tries}:\n{last}")
        say(f"mmdebstrap failed with status {status}, trying again: {last}")
        time.sleep(PAUSE * attempt)


def _last_words(said: str) -> str:
    """The complaints, where there are some; apt's lists of packages say nothing."""
    lines = _ANSWER.sub(r"\1:\2", said).strip().splitlines()
    complaints = [line for line in lines if line.startswith(("E: ", "Err:", "W: ", "Error: "))]
    return "\n".join(line[:_LONGEST] for line in (complaints or lines)[-10:])


def _finish(root: Path) -> None:
    """What scripts of the packages would have made, as far as it is wanted."""
    for folder in ("proc", "sys", "dev", "src", "tmp", "mnt", "var/cache/python"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    etc = root / "etc"
    sources = etc / "apt" / "sources.list"  # who reads the root is not to read a password in it
    if sources.is_file():
        sources.write_text(without_password(sources.read_text()))
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
