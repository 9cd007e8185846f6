"""Where the history is kept, and whether it can be: asked before a run, without the database itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from mungos.own_files import place_of

__all__ = ["APPLICATION", "VERSION", "Unwritable", "check_history", "default_history"]

APPLICATION = 0x4D4C4142
"""`PRAGMA application_id` of a history: "MLAB"."""

VERSION = 1
"""`PRAGMA user_version`: of the tables."""

_MAGIC = b"SQLite format 3\0"
_HEADER = 100  # bytes; SQLite's file format, section 1.3: user_version at 60, application_id at 68


class Unwritable(Exception):
    """The history can't be used; the message says which, why, and what to do."""


def default_history(environment: Mapping[str, str] | None = None) -> str:
    """`mungos/lab.sqlite` in $XDG_STATE_HOME, or in ~/.local/state.

    Args:
        environment: that of the process when None.
    """
    variables = os.environ if environment is None else environment
    state = variables.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # "all paths must be absolute, else ignored", XDG base directories
        state = os.path.join(variables.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "mungos", "lab.sqlite")


def check_history(path: str) -> bool:
    """See that a history can be written there; its folder is made when it is missing.

    Args:
        path: of the file; it may be missing.

    Returns:
        Whether that is certain. A database that does not say whose it is must be opened to know.

    Raises:
        Unwritable: the file or its folder can't be written, or it is something else's.
    """
    folder = os.path.dirname(os.path.abspath(path))
    try:
        place_of(path)  # the database itself would follow anybody's link
        os.makedirs(folder, mode=0o700, exist_ok=True)
        # Beside the file the database keeps its journal: the folder, too, must be writable.
        if not os.access(folder, os.W_OK | os.X_OK):
            raise Unwritable(f"the history {path} can't be written: no right to write in {folder}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise Unwritable(f"the history {path} can't be written: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unwritable(f"the history {path} can't be written: it is no file")
        header = os.read(descriptor, _HEADER)
    except OSError as error:
        raise Unwritable(f"the history {path} can't be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    return not header or _check_header(header, path)


def _check_header(header: bytes, path: str) -> bool:
    application = int.from_bytes(header[68:72], "big")
    if len(header) < _HEADER or not header.startswith(_MAGIC) or application not in {0, APPLICATION}:
        raise Unwritable(f"{path} is no history of the lab; it was left as it is")
    version = int.from_bytes(header[60:64], "big")
    if version > VERSION:
        raise Unwritable(f"the history {path} has version {version}; this program knows up to {VERSION}")
    return application == APPLICATION
