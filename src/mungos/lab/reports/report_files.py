"""Files that reports go to: seen to be writable before a run begins, and never half written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

__all__ = ["UnwritableReport", "check_report_files", "write_report"]


class UnwritableReport(Exception):
    """A report can't be written; the message says which and why."""


def check_report_files(paths: Iterable[str]) -> None:
    """See that a report can be written to each of them.

    Args:
        paths: of files; they may be missing, their folders may not.

    Raises:
        UnwritableReport: one can't be written, or two of them are the same.
    """
    seen: set[str] = set()
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            raise UnwritableReport(f"{path} is named for two reports")
        seen.add(real)
        try:
            if _is_special(real):
                os.close(os.open(real, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK))
            else:
                draft = _draft(real)
                os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                os.unlink(draft)
        except OSError as error:
            raise UnwritableReport(f"{path} can't be written: {error.strerror}") from None


def write_report(path: str, text: str) -> None:
    """Write a report: all of it, or what was there before stays.

    Args:
        path: of the file.
        text: lone surrogates in it are escaped.

    Raises:
        UnwritableReport: the disk is full, or the folder has gone meanwhile.
    """
    content = text.encode("utf-8", "backslashreplace")
    real = os.path.realpath(path)
    try:
        if _is_special(real):
            with open(real, "wb", buffering=0) as file:
                file.write(content)
            return
        draft = _draft(real)
        try:
            with open(draft, "wb") as file:
                file.write(content)
            os.replace(draft, real)
        except OSError:
            if os.path.exists(draft):
                os.unlink(draft)
            raise
    except OSError as error:
        raise UnwritableReport(f"{path} can't be written: {error.strerror}") from None


def _draft(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name[:200]}.{os.getpid()}")


def _is_special(path: str) -> bool:
    """Whether it is there and no regular file: a device, a pipe. A folder raises."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(21, os.strerror(21))
    return not stat.S_ISREG(mode)
