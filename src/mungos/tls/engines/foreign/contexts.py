"""What a server of a C library holds for its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from mungos.tls.engines.foreign.credentials import choose

if TYPE_CHECKING:
    from mungos.tls.engines.foreign.verification import Verifier

__all__ = ["ServerContexts"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServerContexts(Generic[T]):
    """The contexts of a server.

    Args:
        contexts: the library's, one for each credential.
        names: that each of them covers.
        alpn: the protocols spoken, in order of preference.
        verifier: who checks the client, where the library itself does not.
        required: whether the client must show a certificate, where the session sees to that.
    """

    contexts: tuple[T, ...]
    names: tuple[tuple[str, ...], ...]
    alpn: tuple[bytes, ...]
    verifier: Verifier | None = None
    required: bool = False

    def for_name(self, server_name: str | None) -> T:
        """The first whose names cover `server_name` (lower case), else the first (RFC 6066 section 3)."""
        return choose(server_name, self.contexts, self.names)
