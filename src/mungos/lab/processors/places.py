"""Where the roots are kept, and what is written down about each."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mungos.errors import Misuse
from mungos.lab.processors.architectures import Unavailable, architecture

__all__ = [
    "NOTE",
    "Root",
    "asked_at",
    "cache_folder",
    "clear",
    "find_root",
    "in_use",
    "locked",
    "put_away",
    "read_root",
    "remove_root",
    "root_path",
    "roots",
    "roots_folder",
]

NOTE = ".mungos-root.json"  # in the root: what it was built from
LOCK_PATIENCE = 900.0  # seconds to wait for another builder
_LOCK_PAUSE = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Root:
    """A root that was built.

    Args:
        path: its folder.
        architecture: Debian's name.
        suite: the Debian release.
        packages: what was asked for; what these need is there, too.
        mirror: where they came from; without a password.
        built: when, as ISO 8601 in UTC.
        recipe: what it was built from, as a number that changes with it.
        instead: why it is not of a newer release; empty when it is of the newest.
        asked: the mirror that lacked the newer one, which need not be `mirror`; empty when there is none.
    """

    path: Path
    architecture: str
    suite: str
    packages: tuple[str, ...]
    mirror: str
    built: str
    recipe: str
    instead: str = ""
    asked: str = ""

    @property
    def name(self) -> str:
        """Suite and architecture."""
        return f"{self.suite}-{self.architecture}"

    @property
    def proof(self) -> Path:
        """The file beside it that says what was proven there."""
        return self.path.parent / f"{self.name}.proof.json"

    def write_note(self, folder: Path) -> None:
        """Put what is known into the root that stands in `folder`."""
        known = {**asdict(self), "path": None}
        new = folder / f"{NOTE}.{os.getpid()}"
        new.write_text(json.dumps(known, indent=1) + "\n")
        new.rename(folder / NOTE)


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where Mungos keeps what it can make again: MUNGOS_CACHE, else the user's cache."""
    if own := environment.get("MUNGOS_CACHE"):
        return Path(own).absolute()
    if general := environment.get("XDG_CACHE_HOME"):
        return Path(general).absolute() / "mungos"
    return Path(os.path.expanduser("~")) / ".cache" / "mungos"


def roots_folder() -> Path:
    """Where the roots are."""
    return cache_folder() / "roots"


def root_path(name: str, suite: str = "") -> Path:
    """Where the root of this architecture and suite (its newest when empty) is, or would be."""
    known = architecture(name)
    suite = suite or known.suites[0]
    if not suite.isascii() or not suite.replace("-", "").isalnum():
        raise Misuse(f"{suite!r} is no name of a Debian release")
    return roots_folder() / f"{suite}-{known.name}"


def read_root(folder: Path) -> Root | None:
    """The root whose folder this is, if it is one."""
    try:
        known = json.loads((folder / NOTE).read_text())
        return Root(**{**known, "path": folder, "packages": tuple(known["packages"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def asked_at(root: Root) -> float:
    """When the note in a root was written, in seconds since 1970; 0.0 when there is none."""
    try:
        return (root.path / NOTE).stat().st_mtime
    except OSError:
        return 0.0


def roots() -> list[Root]:
    """Those that were built, by name. Raises Unavailable when their folder can't be read."""
    folder = roots_folder()
    try:
        found = [read_root(path) for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unavailable(f"can't read {folder}: {error.strerror}") from None
    return [root for root in found if root is not None]


def find_root(name: str) -> Root:
    """The root of an architecture: of the newest of its suites that is there, else of any other suite.

    Raises Unavailable when there is none.
    """
    known = architecture(name)
    for suite in known.suites:
        root = read_root(root_path(name, suite))
        if root is not None:
            return root
    for other in roots():
        if other.architecture == known.name:
            return other
    raise Unavailable(f"there is no root for {name} in {roots_folder()}: mungos lab arch add {name}")


@contextlib.contextmanager
def locked(
    path: Path, say: Callable[[str], None] = lambda _: None, patience: float = LOCK_PATIENCE
) -> Iterator[None]:
    """Nobody else builds or removes the root at `path` meanwhile.

    Args:
        path: the root's folder.
        say: told when it has to wait.
        patience: seconds after which it gives up with Unavailable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.parent / f".{path.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Unavailable(f"can't write to {path.parent}: {error.strerror}") from None
    try:
        end = time.monotonic() + patience
        waited = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise Unavailable(
                        f"{path} is being built by somebody else, for over {patience:g} s"
                    ) from None
            if not waited:
                say(f"somebody else is building {path}: waiting")
                waited = True
            time.sleep(_LOCK_PAUSE)
        yield
    finally:
        os.close(lock)


def clear(folder: Path) -> None:
    """Remove a folder of a root, if it is there. Raises Unavailable when that fails."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unavailable(f"can't remove {error.filename}: {error.strerror}") from None


def in_use(folder: Path) -> bool:
    """Something runs in the root that stands, or stood, at `folder`, as far as this user may see it."""
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                if str(folder) in (each / "mountinfo").read_text():
                    return True
            except OSError:
                continue
    return False


def put_away(path: Path) -> None:
    """Take a root out of sight at once, and remove it unless something runs in it: that gets another time."""
    if path.is_dir():
        path.rename(path.parent / f".old-{path.name}-{time.time_ns()}")
    for old in path.parent.glob(f".old-{path.name}-*"):
        if not in_use(old):
            clear(old)


def remove_root(name: str, suite: str = "") -> bool:
    """Remove a root and what was proven of it; False when there was none. Raises Unavailable if it fails."""
    path = root_path(name, suite)
    with locked(path):
        there = path.is_dir()
        put_away(path)
        (path.parent / f"{path.name}.proof.json").unlink(missing_ok=True)
    return there
