"""What `listen`, `connect`, `adopt` and `start_tls` are given, judged before anything is opened."""

from __future__ import annotations

from mungos import checking
from mungos.addresses import AccessList
from mungos.core.limits import Limits
from mungos.tls.config import ClientConfig, ServerConfig

__all__ = ["judge_both", "judge_listening", "judge_tls"]

_HANDLER = "a function that takes the connection and an event"


def judge_both(handler: object, protocol: object, limits: object, engine: object) -> None:
    """What every kind of opening has. Raises Misuse."""
    checking.function("handler", handler, write=_HANDLER)
    checking.function(
        "protocol", protocol, write="a function that makes the session of a connection", none=True
    )
    checking.instance("limits", limits, Limits, write="Limits(...)", none=True)
    checking.text("engine", engine, write='an engine\'s name: "auto", "builtin", "openssl"')


def judge_listening(max_connections: object, access: object, backlog: object) -> None:
    """What listeners have besides. Raises Misuse."""
    checking.count("max_connections", max_connections, 1, none=True)
    rules = access if isinstance(access, str) else "+10.0.0.0/8"
    checking.instance("access", access, AccessList, write=f"AccessList({rules[:60]!r})", none=True)
    checking.count("backlog", backlog, 1, none=True)


def judge_tls(tls: object, server_name: object = None, *, server: bool | None = None) -> None:
    """The configuration of a server (True), a client (False) or either (None). Raises Misuse."""
    if server is None:
        kinds = (ClientConfig, ServerConfig)
        checking.instance("tls", tls, kinds, write="ClientConfig(...) or ServerConfig(...)", none=True)
    elif server:
        checking.instance("tls", tls, ServerConfig, write="ServerConfig((credential,))", none=True)
    else:
        checking.instance("tls", tls, ClientConfig, write="ClientConfig(...)", none=True)
    checking.text("server_name", server_name, write='the name in the certificate: "example.org"', none=True)
