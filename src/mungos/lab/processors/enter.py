"""Run a command in a Debian root of another processor. It is started as a script, and becomes the command.

    python3 -I -S enter.py KEY=VALUE ... -- COMMAND [ARGUMENT ...]

    root=FOLDER           the root
    architecture=NAME     Debian's name, for messages
    register=LINE         for the kernel: who executes its programs; absent when the processor does so itself
    emulator=PATH         the same for proot
    cpu=MODEL             the model that is emulated, unless QEMU_CPU names one
    linux32=1             `uname -m` is to show the 32-bit name
    directory=FOLDER      appears under its own path and as /src, and is the current one
    show=FOLDER           appears under its own path; may be given more than once; so does $MUNGOS_LAB
    pid1=1                being process 1 is wanted
    proot=PATH            what to fall back to where the kernel refuses

The kernel learns of the emulator in a user and mount namespace of this process alone (Linux 6.7 or newer): no
privilege is needed, and nothing is left behind. It needs the standard library only.

Exit status: the command's own; 2 for wrong usage; 126 when the root can't be entered, 127 when the
command is not in it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

# linux/sched.h, linux/mount.h, linux/personality.h
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
PER_LINUX32 = 0x0008

USAGE, REFUSED, NOT_FOUND = 2, 126, 127
# Made anew for each run, in memory, so that runs don't see each other's files.
FRESH = {"home": 0o755, "media": 0o755, "mnt": 0o755, "opt": 0o755, "root": 0o700, "run": 0o755, "src": 0o755,
         "srv": 0o755, "tmp": 0o1777}  # fmt: skip
OF_THE_KERNEL = ("proc", "sys", "dev")
TEMPORARY = "/tmp"  # noqa: S108 - the root's own
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What is true of the machine outside only.
DROPPED = ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "TMPDIR", "VIRTUAL_ENV")
CACHE = "/var/cache/python"  # byte code, made once and kept in the root

_libc = ctypes.CDLL(None, use_errno=True)


def _check(done: int, what: str) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    done = _libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])
    _check(done, f"mount {kind or source} on {target}")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _all_numbers(which: str) -> str:
    """Every user or group that exists here, each to itself."""
    with open(f"/proc/self/{which}_map") as file:
        ranges = [line.split() for line in file]
    return "".join(f"{first} {first} {count}\n" for first, _, count in ranges)


def _map_all(parent: int, told: int) -> NoReturn:
    """In a child that stays outside: map all users and groups once the parent is inside."""
    try:
        os.read(told, 1)
        _write(f"/proc/{parent}/uid_map", _all_numbers("uid"))
        _write(f"/proc/{parent}/gid_map", _all_numbers("gid"))
    except OSError:
        os._exit(1)
    os._exit(0)


def separate() -> None:
    """A user and mount namespace of our own, in which we are root. Raises OSError if the kernel refuses."""
    user, group = os.geteuid(), os.getegid()
    helper = 0
    told, tell = os.pipe()
    try:
        if user == 0:
            # Root may map everybody, but only from outside.
            parent = os.getpid()
            helper = os.fork()
            if helper == 0:
                os.close(tell)
                _map_all(parent, told)
        refused: OSError | None = None
        try:
            _check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare")
        except OSError as error:
            refused = error
    finally:
        os.close(told)
        os.close(tell)
    mapped = helper != 0 and os.waitstatus_to_exitcode(os.waitpid(helper, 0)[1]) == 0
    if refused is not None:
        raise refused
    if not mapped:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {user} 1")
        _write("/proc/self/gid_map", f"0 {group} 1")


def _bind(source: str, target: str) -> None:
    _mount(source, target, None, MS_BIND | MS_REC)


def _show(path: str, base: str) -> bool:
    """The folder `path` under its own path in the root; False where the root has something else there."""
    if path == "/":
        return False
    target = base + path
    try:
        os.makedirs(target, exist_ok=True)
        _bind(path, target)
    except OSError:
        return False
    return True


def furnish(root: str, register: str, directory: str, shown: Sequence[str]) -> tuple[str, str]:
    """Put the root together: the programs of `root`, the kernel's folders, and what is shown of the outside.

    Returns:
        Where it stands, and the current folder as it is called inside.
    """
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    base = f"{root}/mnt"
    _mount("tmpfs", base, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for name, mode in FRESH.items():
        os.mkdir(f"{base}/{name}", mode)
        os.chmod(f"{base}/{name}", mode)
    for name in OF_THE_KERNEL:
        os.mkdir(f"{base}/{name}")
        _bind(f"/{name}", f"{base}/{name}")
    for entry in os.scandir(root):
        if entry.name in FRESH or entry.name in OF_THE_KERNEL:
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), f"{base}/{entry.name}")
        elif entry.is_dir():
            os.mkdir(f"{base}/{entry.name}")
            _bind(entry.path, f"{base}/{entry.name}")
    if register:
        # Wherever it is mounted, it counts for this user namespace and those below it.
        os.mkdir(f"{base}/run/binfmt_misc")
        _mount("none", f"{base}/run/binfmt_misc", "binfmt_misc", 0)
        _write(f"{base}/run/binfmt_misc/register", register)
    if os.path.isdir(f"{base}/var{TEMPORARY}"):
        _mount("tmpfs", f"{base}/var{TEMPORARY}", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    if os.path.isdir(f"{base}/var/cache") and not os.access(f"{base}/var/cache", os.W_OK):
        _mount("tmpfs", f"{base}/var/cache", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for name in ("/etc/resolv.conf", "/etc/hosts"):
        if os.path.isfile(name) and os.path.isfile(base + name):
            _bind(name, base + name)
    _bind(directory, f"{base}/src")
    for path in shown:
        _show(path, base)
    return base, directory if _show(directory, base) else "/src"


def move_in(base: str) -> None:
    """Make `base` the root. Not by chroot: inside one, Linux allows no further user namespaces."""
    os.chdir(base)
    if _libc.syscall(ctypes.c_long(_pivot_root()), b".", b".") == 0:
        _check(_libc.umount2(b".", MNT_DETACH), "umount")
    else:
        os.chroot(".")
    os.chdir("/")


def _pivot_root() -> int:
    # asm/unistd.h: the architectures since 2011 share one table.
    return {"x86_64": 155, "i686": 217, "s390x": 217, "ppc64le": 203, "armv7l": 218}.get(
        os.uname().machine, 41
    )


def environment(outside: dict[str, str], cpu: str = "") -> dict[str, str]:
    """What the command gets: what was there, without what holds outside only."""
    if cpu:
        outside = {"QEMU_CPU": cpu, **outside}
    kept = {name: value for name, value in outside.items() if name not in DROPPED}
    return {**kept, "PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "PYTHONPYCACHEPREFIX": CACHE}


def _complain(text: str, status: int) -> NoReturn:
    sys.stderr.write(f"mungos lab: {text}\n")
    sys.stderr.flush()
    os._exit(status)


def _become(command: Sequence[str], variables: dict[str, str], where: str) -> NoReturn:
    # By hand: os.execvpe imports a module, and those of this Python are out of reach by now.
    name = command[0]
    folders = [""] if "/" in name else [f"{folder}/" for folder in variables["PATH"].split(":")]
    refused = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for folder in folders:
        try:
            os.execve(folder + name, list(command), variables)  # noqa: S606 - what it is for
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                refused = error
    missing = refused.errno == errno.ENOENT
    _complain(f"can't run {name} {where}: {refused.strerror}", NOT_FOUND if missing else REFUSED)


def by_proot(
    options: dict[str, str], shown: Sequence[str], command: Sequence[str], reason: OSError
) -> NoReturn:
    """The same by proot, which needs nothing of the kernel but ptrace, and costs twice the time."""
    name, proot = options["architecture"], options.get("proot")
    why = f"the kernel ({os.uname().release}) refuses a root for {name}: {reason.strerror}"
    if not proot:
        _complain(
            f"{why}; it takes Linux 6.7 or newer with user namespaces, or the Debian package proot"
            if "proot_useless" not in options
            else f"{why}; it takes Linux 6.7 or newer with user namespaces (proot does not work for {name})",
            REFUSED,
        )
    if options.get("pid1"):
        _complain(f"{why}; and proot can't make the command process 1", REFUSED)
    directory = options["directory"]
    line = [proot, "-r", options["root"], "-b", f"{directory}:/src", "-w", directory]
    if emulator := options.get("emulator"):
        line += ["-q", emulator]
    for path in ("/proc", "/dev", "/sys", TEMPORARY, "/etc/hosts", "/etc/resolv.conf", directory, *shown):
        if os.path.exists(path):
            line += ["-b", path]
    variables = environment(dict(os.environ), options.get("cpu", ""))
    if not os.access(options["root"] + "/var/cache", os.W_OK):
        del variables["PYTHONPYCACHEPREFIX"]
    # Its accelerator loses system calls of emulated programs under newer kernels.
    _become([*line, *command], {**variables, "PROOT_NO_SECCOMP": "1"}, "here")


def main(arguments: Sequence[str]) -> NoReturn:
    """Read the arguments, enter, become the command."""
    try:
        end = arguments.index("--")
        pairs = [argument.split("=", 1) for argument in arguments[:end]]
        shown = [value for key, value in pairs if key == "show"]
        shown += filter(None, [os.environ.get("MUNGOS_LAB")])
        options = dict(pairs)
        root, name, directory = options["root"], options["architecture"], options["directory"]
        command = arguments[end + 1 :]
        _ = command[0]
    except (ValueError, KeyError, IndexError):
        _complain((__doc__ or "").split("\n\n")[1].strip(), USAGE)
    # The emulator passes a fatal signal on to itself. The kernel drops that for process 1, and it hangs.
    if os.getpid() == 1 and not options.get("pid1"):
        _complain("this must not be process 1: start it from a shell or an init, or ask for --pid1", USAGE)
    for path in (root, f"{root}/mnt", directory):
        if not os.path.isdir(path):
            _complain(f"there is no folder {path}", REFUSED)
    try:
        separate()
        base, inside = furnish(root, options.get("register", ""), directory, shown)
        move_in(base)
    except OSError as error:
        by_proot(options, shown, command, error)
    if options.get("linux32"):
        _libc.personality(ctypes.c_ulong(PER_LINUX32))
    os.chdir(inside)
    _become(command, environment(dict(os.environ), options.get("cpu", "")), f"on {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
