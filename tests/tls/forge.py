"""Records of TLS 1.3 with content that no library would send, made with a peer's keys from its key log."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

ALERT, HANDSHAKE, DATA = 21, 22, 23


class Forge:
    """Protects records as the peer would (RFC 8446 section 5.2), for the suites with AES-GCM."""

    def __init__(self, keylog: Path, label: str) -> None:
        secrets = {
            line.split()[0]: bytes.fromhex(line.split()[2]) for line in keylog.read_text().splitlines()[1:]
        }
        self._protect_with(secrets[label])

    def _protect_with(self, secret: bytes) -> None:
        # The secret is as long as the suite's hash, and the two AES-GCM suites differ in it.
        self._secret = secret
        self._aead = AESGCM(_expand(secret, "key", 32 if len(secret) == SHA384.digest_size else 16))
        self._iv = int.from_bytes(_expand(secret, "iv", 12), "big")
        self.sequence = 0

    def update(self) -> None:
        """What is sent from now on has the next keys (RFC 8446 section 7.2)."""
        self._protect_with(_expand(self._secret, "traffic upd", len(self._secret)))

    def record(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        inner = content + bytes((kind,)) + bytes(padding)
        header = bytes((23, 3, 3)) + (len(inner) + 16).to_bytes(2, "big")
        nonce = (self._iv ^ self.sequence).to_bytes(12, "big")
        self.sequence += 1
        return header + self._aead.encrypt(nonce, inner, header)

    def close_notify(self) -> bytes:
        return self.record(ALERT, b"\x01\x00")


def _expand(secret: bytes, label: str, size: int) -> bytes:
    # RFC 8446 section 7.1: HKDF-Expand-Label with an empty context.
    text = b"tls13 " + label.encode("ascii")
    info = size.to_bytes(2, "big") + bytes((len(text),)) + text + b"\x00"
    algorithm = SHA384() if len(secret) == SHA384.digest_size else SHA256()
    return HKDFExpand(algorithm, size, info).derive(secret)
