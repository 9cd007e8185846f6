"""Removes what a program left in a directory, whatever that is: no link is followed, no depth is too great.

Everything is named relative to a descriptor, one name at a time. A folder inside is emptied in one step: its
files go, its folders move up beside it. So a tower of folders needs as few descriptors as a single one, and
no path that a running program could turn into a link meanwhile.

The lab and its keeper both use this: standard library only, and few imports.
"""

from __future__ import annotations

import errno
import os
import stat
import time

__all__ = ["REMOVE_WITHIN", "is_folder", "remove_all"]

REMOVE_WITHIN = 30.0
"""Seconds for the removal of what a command left in its directory; the rest of it stays, and is told."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PASSES = 3  # over a directory in which nothing could be removed, before that is called final
_MOVES = 1000  # names tried for a folder that moves up, all of them taken


def is_folder(name: str, place: int) -> bool:
    """Whether it is a directory, and no link to one.

    Args:
        name: in the directory `place`.
    """
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)
    except OSError:
        return False


def remove_all(folder: int, until: float) -> str:
    """Remove everything in a directory. Never raises.

    Args:
        folder: descriptor of it.
        until: instant (monotonic) from which on nothing more is begun.

    Returns:
        What stood in the way; empty when nothing is left.
    """
    try:
        work = _Work(folder, until)
        in_vain = 0
        while in_vain < _PASSES:
            if not _names(folder):
                return ""
            before = work.removed
            work.once()
            if work.late:
                return "there was no time for more"
            in_vain = in_vain + 1 if work.removed == before else 0
    except OSError as error:
        return error.strerror or str(error)
    return work.problem or "more came all the time"


def _names(folder: int) -> bool:
    """Whether there is any."""
    with os.scandir(folder) as entries:
        return next(entries, None) is not None


def _mount(descriptor: int) -> bytes:
    """On which mount it is: what was mounted here later is not ours to empty, of the same device or not."""
    about = os.open(f"/proc/self/fdinfo/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for line in os.read(about, 4096).splitlines():
            if line.startswith(b"mnt_id:"):
                return line
    finally:
        os.close(about)
    return b""


class _Work:
    """The directory, what has been removed of it, and why not more.

    Attributes:
        removed: entries that are gone or nearer to it.
        late: the time is over.
        problem: the first thing that could not be removed.
    """

    __slots__ = ("_folder", "_mount", "_moved", "_prefix", "_until", "late", "problem", "removed")

    def __init__(self, folder: int, until: float) -> None:
        self._folder = folder
        self._mount = _mount(folder)
        self._prefix = f"removed-{os.urandom(8).hex()}-"
        self._moved = 0
        self._until = until
        self.removed = 0
        self.late = False
        self.problem = ""
        _unlock(folder)

    def once(self) -> None:
        """Go through what is in it now."""
        with os.scandir(self._folder) as entries:
            for each in entries:
                if time.monotonic() >= self._until:
                    self.late = True
                    return
                self._entry(each)
                if self.late:
                    return

    def _entry(self, each: os.DirEntry[str]) -> None:
        try:
            if each.is_dir(follow_symlinks=False):
                self._empty(each.name)
                os.rmdir(each.name, dir_fd=self._folder)
            else:
                os.unlink(each.name, dir_fd=self._folder)
            self.removed += 1
        except OSError as error:  # it changed meanwhile, or may not be removed: the next pass tells
            self._note(error, each.name)

    def _note(self, error: OSError, name: str) -> None:
        if error.errno != errno.ENOENT and not self.problem:
            self.problem = f"{os.fsencode(name).decode('utf-8', 'backslashreplace')[:100]}: {error.strerror}"

    def _empty(self, name: str) -> None:
        """Take everything out of a folder; other folders come to stand beside it."""
        inner = _opened(name, self._folder)
        try:
            if _mount(inner) != self._mount:
                raise OSError(errno.EXDEV, "something is mounted there")
            _unlock(inner)
            with os.scandir(inner) as entries:
                for each in entries:
                    if time.monotonic() >= self._until:
                        self.late = True
                        return
                    try:
                        if each.is_dir(follow_symlinks=False):
                            self._move_up(each.name, inner)
                        else:
                            os.unlink(each.name, dir_fd=inner)
                        self.removed += 1
                    except OSError as error:
                        self._note(error, each.name)
        finally:
            os.close(inner)

    def _move_up(self, name: str, inner: int) -> None:
        for _ in range(_MOVES):
            self._moved += 1
            try:
                return self._rename(name, inner, f"{self._prefix}{self._moved}")
            except OSError as error:
                if error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                    raise
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _rename(self, name: str, inner: int, target: str) -> None:
        try:
            os.rename(name, target, src_dir_fd=inner, dst_dir_fd=self._folder)
        except PermissionError:  # a folder that moves must itself be writable: its ".." changes
            os.close(_opened(name, inner))
            os.rename(name, target, src_dir_fd=inner, dst_dir_fd=self._folder)


def _opened(name: str, place: int) -> int:
    """A folder, made readable and writable for us if it is ours; no link is followed."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    try:
        if os.fstat(handle).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)  # the only way to name just what the handle is of
        return os.open(".", _FOLDER, dir_fd=handle)
    finally:
        os.close(handle)


def _unlock(folder: int) -> None:
    if os.fstat(folder).st_mode & 0o700 != 0o700:
        os.fchmod(folder, 0o700)
