"""What `listen`, `connect`, `adopt` and `start_tls` are given, judged before anything is opened."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from mungos import checking
from mungos.addresses import AccessList
from mungos.core.host import Host
from mungos.core.limits import MAX_BACKLOG, Limits
from mungos.dns import Hosts, ResolverConfig
from mungos.errors import Misuse
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.engines import check_name
from mungos.url import URL
from mungos.wires.contract import Wire

__all__ = ["judge_alpn", "judge_fitting", "judge_listening", "judge_opening", "judge_security", "judge_tls"]

_HANDLER = "a function that takes the connection and an event"
_ROLES: dict[bool | None, tuple[type | tuple[type, ...], str]] = {
    None: ((ClientConfig, ServerConfig), "ClientConfig(...) or ServerConfig(...)"),
    True: (ServerConfig, "ServerConfig((credential,))"),
    False: (ClientConfig, "ClientConfig(...)"),
}
_DEFAULTS = Limits()
_OF_A_MANAGER = {
    "max_connections": ", or max_connections=... to this listen, where it is one listener's",
    "reserved_descriptors": "",
    "held_per_manager": "",
    "turn_within": "",
}
_SECURE = {"tcp": "tls", "http": "https", "ws": "wss"}


def judge_surroundings(wire: object, host: object, resolver: object) -> None:
    """What a manager runs on, inside of, and looks names up by. Raises Misuse."""
    for name, given, kind, write in (
        (
            "wire",
            wire,
            Wire,
            "KernelWire(), or another wire; limits have a name: Manager(limits=Limits(...))",
        ),
        ("host", host, Host, "an object that has wake_at(when)"),
    ):
        wanted = (each for each in vars(kind) if not each.startswith("_"))
        if given is not None and not all(callable(getattr(given, each, None)) for each in wanted):
            raise checking.wrong(name, given, write)
    if resolver is not None:
        both = resolver if isinstance(resolver, tuple) and len(resolver) == 2 else (resolver, None)
        if not isinstance(both[0], ResolverConfig) or not isinstance(both[1], Hosts):
            raise checking.wrong("resolver", resolver, "both: (ResolverConfig(...), Hosts())")


def judge_signals(signals: object) -> None:
    """Numbers of signals for which the system takes a handler. Raises Misuse."""
    write = "(signal.SIGINT, signal.SIGTERM)"
    allowed = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    for number in checking.items("signals", signals, int, write=write):
        if number not in allowed:
            raise checking.wrong("signals", number, f"signals that can be handled: {write}")


def judge_opening(
    handler: object, protocol: object, limits: Limits | None, engine: object, managers: Limits
) -> None:
    """What every kind of opening has, in a manager of such limits. Raises Misuse."""
    checking.function("handler", handler, write=_HANDLER)
    checking.function(
        "protocol", protocol, write="a function that makes the session of a connection", none=True
    )
    checking.instance("limits", limits, Limits, write="Limits(...)", none=True)
    checking.text("engine", engine, write='an engine\'s name: "auto", "builtin", "openssl"')
    check_name(engine)  # type: ignore[arg-type]  # it is a text
    if limits is not None and limits is not managers:
        for name, instead in _OF_A_MANAGER.items():
            given = getattr(limits, name)
            if given not in (getattr(managers, name), getattr(_DEFAULTS, name)):
                raise Misuse(
                    f"{name} is {checking.shown(given)}, and bounds a whole manager: give it to "
                    f"Manager(limits=Limits({name}=...)){instead}"
                )


def judge_listening(max_connections: object, access: object, backlog: object) -> None:
    """What listeners have besides. Raises Misuse."""
    checking.count("max_connections", max_connections, 1, none=True)
    rules = access if isinstance(access, str) else "+10.0.0.0/8"
    checking.instance("access", access, AccessList, write=f"AccessList({rules[:60]!r})", none=True)
    checking.count("backlog", backlog, 1, none=True)
    checking.count("backlog", backlog, 1, MAX_BACKLOG, none=True)


def judge_tls(
    tls: object,
    server_name: object = None,
    *,
    name: str = "tls",
    server: bool | None = None,
    none: bool = True,
    accepted: bool = False,
) -> None:
    """The configuration of a server (True), a client (False) or either (None), None where that is taken, and
    the name that a client verifies; on an `accepted` connection it is most likely a server's. Raises
    Misuse."""
    kinds, write = _ROLES[server]
    if accepted:
        write = "ServerConfig((credential,)), or ClientConfig(...) where the peer is TLS's server"
    checking.instance(name, tls, kinds, write=write, none=none)
    checking.text("server_name", server_name, write='the name in the certificate: "example.org"', none=True)
    if server_name is not None and isinstance(tls, ServerConfig):
        raise Misuse(f"server_name is what a client verifies: leave it out, {name} is a ServerConfig")


def judge_security(
    url: URL | None, tls: object, server_name: object = None, *, listening: bool = False
) -> None:
    """That the URL (None: of a socket that is there already) and what is asked for besides agree on TLS:
    whoever asks for it in any way gets it, or an error, and never plain text. Raises Misuse."""
    secured = tls is not None
    if url is not None and url.transport != "unix":
        if secured and not url.secure:
            raise Misuse(f"{url.scheme} is plain text: write {_SECURE.get(url.scheme, 'tls')}:// to use TLS")
        if url.secure and listening and not secured:
            raise Misuse(f"{url.scheme} needs tls=ServerConfig(...): TLS never falls back to plain text")
        secured = url.secure
    if server_name is not None and not secured:
        raise Misuse(
            "server_name is the name in a certificate, and nothing is secured here: "
            + ("give tls=ClientConfig(...)" if url is None or url.transport == "unix" else "write tls://")
        )


def judge_alpn(config: ClientConfig | ServerConfig, spoken: Sequence[str]) -> None:
    """That ALPN names nothing but what will be spoken. Raises Misuse."""
    for name in config.alpn:
        if name not in spoken:
            raise Misuse(
                f"alpn has {checking.shown(name)}, which would not be spoken here: write "
                f"alpn=({spoken[0]!r},), or leave it out"
            )


def judge_fitting(
    url: URL,
    *,
    protocol: object,
    access: object = None,
    max_connections: object = None,
    backlog: object = None,
) -> None:
    """That nothing is given which the URL's kind of socket has no use for. Raises Misuse."""
    streams_only = (protocol, access, max_connections, backlog)
    if url.transport == "udp" and any(given is not None for given in streams_only):
        raise Misuse("udp has no connections: protocol, access, max_connections and backlog don't fit it")
    if url.transport == "unix" and access is not None:
        raise Misuse(
            "access judges IP addresses, and who connects to a unix socket has none: leave it out, the "
            "permissions of the path say who may connect"
        )
