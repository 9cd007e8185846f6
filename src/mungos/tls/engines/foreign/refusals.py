"""What a configuration asks for and a library's engine has not: said at set-up, not passed over."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

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

# What is asked for: a word for those who have it, the words of the refusal, and how it is recognized.
_ASKED: tuple[tuple[str, str, Callable[[_Config], bool]], ...] = (
    ("suites", "can't choose the suites of TLS 1.3", lambda c: c.suites != DEFAULT_SUITES),
    ("groups", "can't choose groups", lambda c: c.groups != DEFAULT_GROUPS),
    ("keylog", "has no keylog", lambda c: c.keylog is not None),
    (
        "wall",
        "takes civil time from the system, and no wall clock",
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
        "has no TLSv1.3, its library speaks TLSv1.2 only",
        lambda c: c.minimum_version == "TLSv1.3",
    ),
)


def refuse_what_is_lacking(engine: str, config: _Config, has: Container[str]) -> None:
    """Raises Misuse, naming the engine and what it lacks, where the configuration asks for something that is
    not in `has`; and for a server without a credential."""
    for word, words, asked in _ASKED:
        if word not in has and asked(config):
            raise Misuse(f"the engine {engine} {words}: leave it out, or write engine='builtin'")
    if isinstance(config, ServerConfig) and not config.credentials:
        raise Misuse(
            "a TLS server needs at least one credential: write credentials=(Credential(chain, key),)"
        )


def alpn_names(names: Sequence[str], forbidden: str = "") -> tuple[bytes, ...]:
    """Protocol names as they stand on the wire. Raises Misuse for one that has one of the `forbidden`
    characters, which the library's interface can't tell from its own."""
    for name in names:
        if any(each in name for each in forbidden):
            raise Misuse(f"alpn {name!r}: this engine takes no name with one of {forbidden!r}")
    return tuple(name.encode("ascii") for name in names)
