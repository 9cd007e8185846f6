"""Files written for their owner: where others may write beside us, nothing of theirs is taken for ours.

In a folder like /tmp anybody may have put a link, a file or a FIFO under the name that we are about to use.
So links that somebody else made are not followed, what others own gets no secrets, and a draft has a name
that is not to be guessed.
"""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["PRIVATE", "open_to_append", "open_to_write", "place_of", "write_whole"]

PRIVATE = 0o600
"""The mode of a file that only its owner reads."""

_FLAGS = os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_MOST_LINKS = 40  # from one to the next, as the kernel has it


def place_of(path: str) -> str:
    """Where a file is to be written: the path, or where its links and its folders' links lead, if we or the
    system made them.

    Args:
        path: of a file; it may be missing.

    Raises:
        PermissionError: a link that somebody else made stands there, or on the way.
        OSError: it can't be told.
    """
    place = "/" if path.startswith("/") else os.getcwd()
    left = path.split("/")[::-1]
    links = 0
    while left:
        part = left.pop()
        if part == "..":
            place = os.path.dirname(place)  # there is no link in it
        elif part not in {"", "."}:
            step = os.path.join(place, part)
            try:
                found = os.lstat(step)
            except FileNotFoundError:
                place = step
                continue
            if not stat.S_ISLNK(found.st_mode):
                if left and not stat.S_ISDIR(found.st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), step)
                place = step
                continue
            if found.st_uid not in {os.geteuid(), 0}:
                raise PermissionError(errno.EPERM, "it is a link that somebody else made", step)
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(step)
            if target.startswith("/"):
                place = "/"
            left += target.split("/")[::-1]
    return place


def open_to_write(path: str, mode: int = 0o666) -> int:
    """Open a file to overwrite it, or make it; nothing is cut off yet.

    Args:
        path: see `place_of`.
        mode: of a new file, before the umask.

    Returns:
        A descriptor.

    Raises:
        PermissionError: see `place_of`.
        OSError: it can't be opened.
    """
    return os.open(place_of(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)


def open_to_append(path: str) -> int:
    """Open a file of secrets, or make it: readable for its owner alone, from now on if not before.

    Args:
        path: no link, and on its way none that somebody else made; a regular file of ours that has no other
            name, a FIFO of ours, or a device.

    Returns:
        A descriptor that does not block.

    Raises:
        PermissionError: it is something else, or somebody else's.
        OSError: it can't be opened.
    """
    folder, name = os.path.split(path)
    place = os.path.join(place_of(folder), name)
    try:
        descriptor = os.open(place, _FLAGS | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, PRIVATE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise PermissionError(errno.EPERM, "it is a link: name the file itself", path) from None
        raise
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() and not (stat.S_ISCHR(found.st_mode) and found.st_uid == 0):
            raise PermissionError(errno.EPERM, "it belongs to another user: name a new file", path)
        if stat.S_ISREG(found.st_mode):
            if found.st_nlink > 1:
                raise PermissionError(errno.EPERM, "it has another name, too: name a new file", path)
            os.fchmod(descriptor, PRIVATE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def write_whole(path: str, content: bytes, mode: int = PRIVATE, *, only_try: bool = False) -> None:
    """Write a file: all of it, or what was there before stays. A device or FIFO is written to as it is.

    Args:
        path: see `place_of`.
        content: of the file.
        mode: of the file, before the umask, also where one of another mode was there.
        only_try: see whether it can be written, and leave everything as it is.

    Raises:
        PermissionError: see `place_of`; or a FIFO or device is somebody else's.
        OSError: it can't be written.
    """
    place = place_of(path)
    try:
        found = os.lstat(place)
    except FileNotFoundError:
        pass
    else:
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(found.st_mode):
            _write_to_special(place, content, only_try=only_try)
            return
    folder, name = os.path.split(place)
    beside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        draft = f".{name[:200]}.{os.urandom(8).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(draft, flags, mode, dir_fd=beside)
        try:
            try:
                _write_all(descriptor, b"" if only_try else content)
            finally:
                os.close(descriptor)
            if only_try:
                os.unlink(draft, dir_fd=beside)
            else:
                os.replace(draft, name, src_dir_fd=beside, dst_dir_fd=beside)
        except BaseException:
            os.unlink(draft, dir_fd=beside)
            raise
    finally:
        os.close(beside)


def _write_to_special(place: str, content: bytes, *, only_try: bool) -> None:
    # Who made a FIFO reads from it.
    descriptor = os.open(place, _FLAGS | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid not in {os.geteuid(), 0}:
            raise PermissionError(errno.EPERM, "it belongs to another user", place)
        os.set_blocking(descriptor, True)
        if not only_try:
            _write_all(descriptor, content)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
