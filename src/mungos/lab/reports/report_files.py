"""Files that reports go to: seen to be writable before a run, never half written, their owner's alone."""

from __future__ import annotations

from collections.abc import Iterable

from mungos.own_files import place_of, write_whole

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
        try:
            place = place_of(path)
            if place in seen:
                raise UnwritableReport(f"{path} is named for two reports")
            seen.add(place)
            write_whole(place, b"", only_try=True)
        except OSError as error:
            raise UnwritableReport(f"{path} can't be written: {error.strerror}") from None


def write_report(path: str, text: str) -> None:
    """Write a report that only its owner reads: all of it, or what was there before stays.

    Args:
        path: of the file.
        text: lone surrogates in it are escaped.

    Raises:
        UnwritableReport: the disk is full, or the folder has gone meanwhile.
    """
    try:
        write_whole(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UnwritableReport(f"{path} can't be written: {error.strerror}") from None
