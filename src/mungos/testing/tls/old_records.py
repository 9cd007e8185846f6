"""Records of TLS 1.2 under a peer's keys: what the standard library never sends in mid-session."""

from __future__ import annotations

import hashlib
import hmac
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.testing.tls.papers import foreign_context
from mungos.testing.tls.verdicts import Unmet

__all__ = ["OldForge", "logged_context"]

SUITE = "ECDHE-ECDSA-AES128-GCM-SHA256"
_RANDOM = slice(
    11, 43
)  # of a hello in the clear, behind the headers of its record and message, and the version


@contextmanager
def logged_context(*, server: bool) -> Iterator[tuple[ssl.SSLContext, Path]]:
    """A context of TLS 1.2 with one suite only, and the file in which it logs its keys."""
    with tempfile.TemporaryDirectory(prefix="mungos-") as folder:
        log = Path(folder, "keys")
        context = foreign_context.__wrapped__(server, "TLSv1.2", suites_1_2=SUITE)
        context.keylog_filename = str(log)
        try:
            yield context, log
        finally:
            # A context keeps its key log's file open.
            context.keylog_filename = os.devnull


class OldForge:
    """Protects records as the peer would (RFC 5288 section 3), behind its Finished.

    Args:
        log: the peer's key log.
        client_hello, server_hello: the records in which they came.
        by_client: whether the peer is the client.
    """

    def __init__(self, log: Path, client_hello: bytes, server_hello: bytes, *, by_client: bool) -> None:
        masters = [
            line.split()[2] for line in log.read_text().splitlines() if line.startswith("CLIENT_RANDOM ")
        ]
        if len(masters) != 1:
            raise Unmet("the peer logs one master secret", f"{len(masters)} of them")
        seed = server_hello[_RANDOM] + client_hello[_RANDOM]
        block = _expand(bytes.fromhex(masters[0]), b"key expansion" + seed, 40)
        key, salt = (block[:16], block[32:36]) if by_client else (block[16:32], block[36:40])
        self._aead = CryptographyProvider().aead("AES-128-GCM", key)
        self._salt = salt
        self._sequence = 1  # Finished was 0

    def record(self, kind: int, content: bytes) -> bytes:
        """One record."""
        sequence = self._sequence.to_bytes(8, "big")
        self._sequence += 1
        # RFC 5246 section 6.2.3.3: the sequence number, type, version and length are authenticated.
        extra = sequence + bytes((kind, 3, 3)) + len(content).to_bytes(2, "big")
        sealed = sequence + self._aead.encrypt(self._salt + sequence, content, extra)
        return bytes((kind, 3, 3)) + len(sealed).to_bytes(2, "big") + sealed


def _expand(secret: bytes, seed: bytes, size: int) -> bytes:
    """P_hash with SHA-256 (RFC 5246 section 5)."""
    out, a = b"", seed
    while len(out) < size:
        a = hmac.digest(secret, a, hashlib.sha256)
        out += hmac.digest(secret, a + seed, hashlib.sha256)
    return out[:size]
