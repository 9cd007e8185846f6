"""What is measured: the cases, who runs in each, and the targets that `--check` holds them to."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.contestants import SERVERS, Server

__all__ = ["CASES", "IDLE_CONNECTIONS", "SUBJECT", "TARGETS", "Case", "Entry", "Target", "entries"]

SUBJECT = "mungos"
IDLE_CONNECTIONS = 5000
CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load.

    Attributes:
        protocol: which servers can take part, and which load process is used.
        size: bytes in a WebSocket message; 0 for HTTP.
        connections: how many are active, with one request in flight on each.
        pool: how many different requests are made ahead.
        peers: the servers run beside the subject; empty for a case that the subject runs against itself.
        idle: silent connections held open in the subject's other run; 0 for a case with peers.
    """

    name: str
    title: str
    protocol: str
    size: int = 0
    connections: int = CONNECTIONS
    pool: int = 512
    peers: tuple[str, ...] = ()
    idle: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a case's table: a server, and how many idle connections it holds meanwhile."""

    label: str
    server: Server
    idle: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """`--check`: the subject's requests per server CPU-second ÷ those of `against`, at least `least`."""

    case: str
    against: str
    least: float


CASES: tuple[Case, ...] = (
    Case(
        "http-small-get",
        "small GETs over keep-alive connections",
        "http",
        peers=("uvicorn", "aiohttp", "bare loop"),
    ),
    Case(
        "ws-echo-64",
        "WebSocket echo of 64 B",
        "websocket",
        size=64,
        peers=("websockets", "picows", "bare loop"),
    ),
    Case(
        "ws-echo-8k",
        "WebSocket echo of 8 KiB",
        "websocket",
        size=8192,
        pool=128,
        peers=("websockets", "picows", "bare loop"),
    ),
    Case(
        "idle-connections",
        f"small GETs with and without {IDLE_CONNECTIONS:,} idle connections",
        "http",
        idle=IDLE_CONNECTIONS,
    ),
)

TARGETS: tuple[Target, ...] = (
    Target("http-small-get", "uvicorn", 1.7),
    Target("http-small-get", "aiohttp", 2.3),
    Target("ws-echo-64", "websockets", 1.6),
    Target("ws-echo-8k", "websockets", 0.85),
    Target("idle-connections", "none idle", 0.9),
)


def entries(case: Case, *, subject: str = SUBJECT, only: frozenset[str] = frozenset()) -> list[Entry]:
    """The rows of a case: the subject first, then whom it is compared with.

    Args:
        subject: the server that the others are compared with.
        only: server names; when any is given, no others take part. A server that is named, yet is not
            among the case's usual peers, takes part too.
    """
    servers = {server.name: server for server in SERVERS if server.protocol == case.protocol}
    wanted = [subject, *(name for name in (*case.peers, *only) if name != subject)]
    chosen = [name for name in dict.fromkeys(wanted) if name in servers and (not only or name in only)]
    if not case.idle:
        return [Entry(name, servers[name]) for name in chosen]
    if subject not in chosen:
        return []
    return [Entry(f"{case.idle:,} idle", servers[subject], case.idle), Entry("none idle", servers[subject])]
