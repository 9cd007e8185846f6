"""What a configuration asks for and a library's engine has not: said at set-up, not passed over."""

from __future__ import annotations

from collections.abc import Callable, Container

from mungos.errors import Misuse
from mungos.tls.config import (
    DEFAULT_GROUPS,
    DEFAULT_SUITES,
    MAX_RECORD_SIZE,
    ClientConfig,
    ServerConfig,
)

__all__ = ["alpn_names", "refuse_what_is_lacking"]

_Config = ClientConfig | ServerConfig

_MAX_ALPN = 255

# What is asked for: a word for those who have it, the words of the refusal, and how it is recognized.
_ASKED: tuple[tuple[str, str, Callable[[_Config], bool]], ...] = (
    ("suites", "can't choose the suites of TLS 1.3", lambda c: c.suites != DEFAULT_SUITES),
    ("groups", "can't choose groups", lambda c: c.groups != DEFAULT_GROUPS),
    ("keylog", "has no keylog", lambda c: c.keylog is not None),
    (
        "wall",
        "takes civil time from the system: it can't be given a wall clock",
        lambda c: c.wall is not None,
    ),
    ("provider", "has one cryptographic provider only, its own", lambda c: c.provider is not None),
    ("psks", "has no external pre-shared keys", lambda c: bool(c.psks)),
    ("early data", "has no early data", lambda c: c.early_data not in (None, "off")),
    ("record_size_limit", "has no record_size_limit", lambda c: c.record_size_limit != MAX_RECORD_SIZE),
    ("compression", "can't compress certificates", lambda c: c.compress_certificates),
    (
        "staples",
        "can't ask for an OCSP staple",
        lambda c: isinstance(c, ClientConfig) and c.ask_staple,
    ),
    (
        "staples",
        "can't show an OCSP staple",
        lambda c: isinstance(c, ServerConfig) and any(each.staple is not None for each in c.credentials),
    ),
    ("retry_cookie", "has no retry_cookie", lambda c: isinstance(c, ServerConfig) and c.retry_cookie),
    (
        "resumption",
        "can't resume sessions as a client",
        lambda c: isinstance(c, ClientConfig) and c.sessions is not None,
    ),
    (
        "tickets",
        "has no session tickets",
        lambda c: isinstance(c, ServerConfig) and c.tickets is not None,
    ),
    (
        "TLSv1.3",
        "has no TLSv1.3: its library speaks TLSv1.2 only",
        lambda c: c.minimum_version == "TLSv1.3",
    ),
)


def refuse_what_is_lacking(engine: str, config: _Config, has: Container[str]) -> None:
    """Raises Misuse, naming the engine and what it lacks, where the configuration asks for something that is
    not in `has`; and for a version or a client_auth that is none."""
    if config.minimum_version not in ("TLSv1.2", "TLSv1.3"):
        raise Misuse(f"minimum_version is {config.minimum_version!r}; it may be TLSv1.2, TLSv1.3")
    for word, words, asked in _ASKED:
        if word not in has and asked(config):
            raise Misuse(f"the engine {engine} {words}")
    if isinstance(config, ServerConfig):
        if not config.credentials:
            raise Misuse("a TLS server needs at least one credential")
        if config.client_auth not in ("none", "optional", "required"):
            raise Misuse(f"client_auth is {config.client_auth!r}; it may be none, optional, required")


def alpn_names(names: tuple[str, ...], forbidden: str = "") -> tuple[bytes, ...]:
    """Protocol names as they stand on the wire. Raises Misuse for one that is not 1 to 255 bytes of ASCII, or
    has one of the `forbidden` characters, which the library's interface can't tell from its own."""
    for name in names:
        if not name.isascii() or not 1 <= len(name) <= _MAX_ALPN or any(each in name for each in forbidden):
            raise Misuse(
                f"alpn {name!r}: each name is 1 to {_MAX_ALPN} bytes of ASCII"
                + (f", without {forbidden!r}" if forbidden else "")
            )
    return tuple(name.encode("ascii") for name in names)
