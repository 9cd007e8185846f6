"""TLS for connections: configurations, the contract of an engine, and the choice of one."""

from __future__ import annotations

from mungos.tls.alerts import AlertDescription
from mungos.tls.config import DEFAULT_GROUPS, DEFAULT_SUITES, ClientConfig, Credential, ServerConfig
from mungos.tls.contract import (
    Availability,
    Data,
    EarlyData,
    Engine,
    EngineFactory,
    Established,
    Event,
    Failed,
    Negotiated,
    PeerClosed,
    ReadSide,
    WriteSide,
)
from mungos.tls.early_data import EarlyDataGuard
from mungos.tls.engines import all_engines, select
from mungos.tls.external_psk import ExternalPsk
from mungos.tls.sessions import SessionCache, TicketKeys

__all__ = [
    "DEFAULT_GROUPS",
    "DEFAULT_SUITES",
    "AlertDescription",
    "Availability",
    "ClientConfig",
    "Credential",
    "Data",
    "EarlyData",
    "EarlyDataGuard",
    "Engine",
    "EngineFactory",
    "Established",
    "Event",
    "ExternalPsk",
    "Failed",
    "Negotiated",
    "PeerClosed",
    "ReadSide",
    "ServerConfig",
    "SessionCache",
    "TicketKeys",
    "WriteSide",
    "all_engines",
    "select",
]
