"""The configuration of this system, from its files."""

from __future__ import annotations

from os import PathLike, stat
from pathlib import Path

from mungos.dns.config import ResolverConfig
from mungos.dns.hosts import Hosts, parse_hosts
from mungos.dns.resolv_conf import parse_resolv_conf

__all__ = ["LOOK_AGAIN_AFTER", "MAX_FILE_OCTETS", "SystemFiles", "load", "system_configuration"]

MAX_FILE_OCTETS = 16 * 1024 * 1024
"""Octets of one file that are read: the longest tables of hosts in use have a third of it."""

LOOK_AGAIN_AFTER = 1.0
"""Seconds from one look at whether a file has changed to the next, at the least."""

RESOLV_PATH = "/etc/resolv.conf"
HOSTS_PATH = "/etc/hosts"


def system_configuration(resolv_text: str, hosts_text: str) -> tuple[ResolverConfig, Hosts]:
    """The configuration that the texts of resolv.conf and hosts describe; empty texts are fine."""
    return parse_resolv_conf(resolv_text), parse_hosts(hosts_text)


def load(
    resolv_path: str | PathLike[str] = RESOLV_PATH, hosts_path: str | PathLike[str] = HOSTS_PATH
) -> tuple[ResolverConfig, Hosts]:
    """Read the system's files.

    One that is missing, can't be read or is no regular file counts as empty, as in the C library: the server
    is then 127.0.0.1, and the table of hosts has no names. Octets that are not UTF-8 spoil the word that they
    are in; what lies behind `MAX_FILE_OCTETS` is passed over, and the line that is cut there.
    """
    return system_configuration(_text(resolv_path), _text(hosts_path))


class SystemFiles:
    """The system's configuration, as `load` has it, each file read again once it has changed.

    Args:
        resolv_path, hosts_path: where the files are.
    """

    __slots__ = ("_config", "_hosts", "_look_at", "_paths", "_stamps")

    def __init__(
        self, resolv_path: str | PathLike[str] = RESOLV_PATH, hosts_path: str | PathLike[str] = HOSTS_PATH
    ) -> None:
        self._paths = (resolv_path, hosts_path)
        self._stamps: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
        self._look_at = 0.0
        # What absent files say.
        self._config, self._hosts = system_configuration("", "")

    def current(self, now: float) -> tuple[ResolverConfig, Hosts]:
        """The configuration at `now`, in seconds on the caller's clock. The files are looked at when the last
        look was `LOOK_AGAIN_AFTER` seconds ago, and those that have changed are read: that blocks, for as
        long as the disk takes."""
        if now >= self._look_at:
            self._look_at = now + LOOK_AGAIN_AFTER
            resolv_path, hosts_path = self._paths
            # Before the file is read: what is written in between is noticed at the next look.
            resolv, hosts = _stamp(resolv_path), _stamp(hosts_path)
            if resolv != self._stamps[0]:
                self._config = parse_resolv_conf(_text(resolv_path))
            if hosts != self._stamps[1]:
                self._hosts = parse_hosts(_text(hosts_path))
            self._stamps = resolv, hosts
        return self._config, self._hosts


def _stamp(path: str | PathLike[str]) -> tuple[int, ...]:
    """Differs when the file is another one, or another's content; of what is not there, it is empty."""
    try:
        at = stat(path)
    except OSError:
        return ()
    return at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns


def _text(path: str | PathLike[str]) -> str:
    try:
        # A pipe would be waited for, and a device may have no end.
        if not Path(path).is_file():
            return ""
        with Path(path).open("rb") as file:
            octets = file.read(MAX_FILE_OCTETS + 1)
    except OSError:
        return ""
    if len(octets) > MAX_FILE_OCTETS:
        octets = octets[: octets.rfind(b"\n", 0, MAX_FILE_OCTETS) + 1]
    return octets.decode("utf-8", "replace")
