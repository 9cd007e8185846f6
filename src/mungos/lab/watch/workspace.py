"""The directory of its own that a command gets: made by the lab, and removed as what it was when it was made.

The command may do with it what it likes: replace it by a link, remove it, move it, fill it. So it is held by
a descriptor, and so is the directory in which it stands; its path is for the command alone.
"""

from __future__ import annotations

import os
import stat
import time

from mungos.lab.watch.removal import REMOVE_WITHIN, is_folder, remove_all

__all__ = ["Workspace", "remove_workspace"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Workspace:
    """At most one directory at a time. Make it, and remove it when nothing of the command runs any more.

    Attributes:
        path: of the directory, without a link in it; empty while there is none.
        folder: descriptor of it; -1 while there is none.
        place: descriptor of the directory in which it was made.
    """

    __slots__ = ("folder", "path", "place")

    def __init__(self) -> None:
        self.path = ""
        self.folder = self.place = -1

    def make(self) -> str:
        """A new, empty directory that only we can read; its path.

        Raises:
            OSError: it can't be made.
        """
        base = os.path.realpath(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - the name is not to be guessed
        name = f"mungos-lab-{os.getpid()}-{os.urandom(8).hex()}"
        place = os.open(base, _FOLDER)
        made = False
        try:
            os.mkdir(name, 0o700, dir_fd=place)
            made = True
            folder = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=place)
            if os.fstat(folder).st_uid != os.geteuid():  # where everybody may rename everything
                made = False
                os.close(folder)
                raise PermissionError(1, "somebody else's directory took its place", os.path.join(base, name))
        except BaseException:
            if made:
                try:  # noqa: SIM105 - see _remove_other
                    os.rmdir(name, dir_fd=place)
                except OSError:
                    pass
            os.close(place)
            raise
        self.path, self.place, self.folder = os.path.join(base, name), place, folder
        return self.path

    def remove(self, within: float = REMOVE_WITHIN) -> str:
        """Remove it, with everything in it. Idempotent; never raises.

        Args:
            within: seconds after which the rest is left.

        Returns:
            What is left and why, as a sentence; empty when nothing is.
        """
        if not self.path:
            return ""
        path, self.path = self.path, ""
        try:
            return remove_workspace(self.place, self.folder, path, within)
        finally:
            os.close(self.folder)
            os.close(self.place)
            self.folder = self.place = -1


def remove_workspace(place: int, folder: int, path: str, within: float = REMOVE_WITHIN) -> str:
    """Remove a workspace by its descriptors. Never raises.

    Args:
        place: the directory in which it was made.
        folder: the workspace.
        path: of it, where it was made.
        within: seconds after which the rest is left.

    Returns:
        As `Workspace.remove`.
    """
    try:
        return _remove(place, folder, path, time.monotonic() + within)
    except OSError as error:
        return f"the command's directory {path} could not be removed: {error.strerror or error}"


def _remove(place: int, folder: int, path: str, until: float) -> str:
    name = path.rpartition("/")[2]
    if _is_there(name, place, folder):
        problem = remove_all(folder, until)
    else:
        if moved := _moved_to(folder):
            return f"the command moved its directory {path} to {moved}, where it was left"
        problem = _remove_other(name, place, until)
    if not problem:
        try:
            os.rmdir(name, dir_fd=place)
        except FileNotFoundError:
            pass
        except OSError as error:
            problem = error.strerror or str(error)
    return f"the command's directory {path} could not be removed: {problem}" if problem else ""


def _is_there(name: str, place: int, folder: int) -> bool:
    """Whether the workspace still stands where it was made."""
    held = os.fstat(folder)
    try:
        found = os.stat(name, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)


def _moved_to(folder: int) -> str:
    """Where the workspace is now; empty when it was removed."""
    if os.fstat(folder).st_nlink == 0:
        return ""
    found = os.readlink(f"/proc/self/fd/{folder}")
    return "" if found.endswith(" (deleted)") else found


def _remove_other(name: str, place: int, until: float) -> str:
    """Empty what the command put in its directory's place, if it is a folder; take away what is none."""
    if not is_folder(name, place):
        try:  # noqa: SIM105 - contextlib would cost a keeper a tenth of its start
            os.unlink(name, dir_fd=place)  # a link itself, never what it leads to
        except FileNotFoundError:
            pass
        return ""
    other = os.open(name, _FOLDER | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
    try:
        if os.fstat(other).st_uid != os.geteuid() or not stat.S_ISDIR(os.fstat(other).st_mode):
            return "somebody else's directory stands there"
        return remove_all(other, until)
    finally:
        os.close(other)
