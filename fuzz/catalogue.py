"""The targets by name, and the module that each is in. Mungos is imported when one is asked for."""

from __future__ import annotations

from importlib import import_module

from fuzz.target import Target

__all__ = ["NAMES", "load"]

_MODULES = {
    "fuzz.http_targets": (
        "http-request-head",
        "http-response-head",
        "http-chunked-body",
        "http-server",
        "http-client",
    ),
    "fuzz.websocket_targets": ("websocket-frame", "websocket-server", "websocket-client"),
    "fuzz.dns_targets": ("dns-message", "dns-answer"),
    "fuzz.x509_targets": ("x509-certificate", "x509-pem"),
    "fuzz.tls_targets": ("tls-messages", "tls-records", "tls-session"),
    "fuzz.handshake_targets": ("tls-client-handshake", "tls-server-handshake"),
}

NAMES = {name: module for module, names in _MODULES.items() for name in names}
"""Where each target is."""


def load(name: str) -> Target:
    """The target of that name."""
    targets: tuple[Target, ...] = import_module(NAMES[name]).TARGETS
    return next(target for target in targets if target.name == name)
