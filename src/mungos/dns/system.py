"""The configuration of this system, from its files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from mungos.dns.config import ResolverConfig
from mungos.dns.hosts import Hosts, parse_hosts
from mungos.dns.resolv_conf import parse_resolv_conf

__all__ = ["MAX_FILE_OCTETS", "load", "system_configuration"]

MAX_FILE_OCTETS = 16 * 1024 * 1024
"""Octets of one file that are read: the longest tables of hosts in use have a third of it."""


def system_configuration(resolv_text: str, hosts_text: str) -> tuple[ResolverConfig, Hosts]:
    """The configuration that the texts of resolv.conf and hosts describe; empty texts are fine."""
    return parse_resolv_conf(resolv_text), parse_hosts(hosts_text)


def load(
    resolv_path: str | PathLike[str] = "/etc/resolv.conf",
    hosts_path: str | PathLike[str] = "/etc/hosts",
) -> tuple[ResolverConfig, Hosts]:
    """Read the system's files.

    One that is missing, can't be read or is no regular file counts as empty, as in the C library: the server
    is then 127.0.0.1, and the table of hosts has no names. Octets that are not UTF-8 spoil the word that they
    are in; what lies behind `MAX_FILE_OCTETS` is passed over, and the line that is cut there.
    """
    return system_configuration(_text(resolv_path), _text(hosts_path))


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
