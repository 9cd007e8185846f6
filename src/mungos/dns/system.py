"""The configuration of this system, from its files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from mungos.dns.config import ResolverConfig
from mungos.dns.hosts import Hosts, parse_hosts
from mungos.dns.resolv_conf import parse_resolv_conf

__all__ = ["load", "system_configuration"]


def system_configuration(resolv_text: str, hosts_text: str) -> tuple[ResolverConfig, Hosts]:
    """The configuration that the texts of resolv.conf and hosts describe; empty texts are fine."""
    return parse_resolv_conf(resolv_text), parse_hosts(hosts_text)


def load(
    resolv_path: str | PathLike[str] = "/etc/resolv.conf",
    hosts_path: str | PathLike[str] = "/etc/hosts",
) -> tuple[ResolverConfig, Hosts]:
    """Read the system's files. One that is missing or can't be read counts as empty, as in the C library: the
    server is then 127.0.0.1, and the table of hosts has no names."""
    return system_configuration(_text(resolv_path), _text(hosts_path))


def _text(path: str | PathLike[str]) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""
