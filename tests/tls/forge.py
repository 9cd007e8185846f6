"""Records with content that no library would send, made with a peer's keys from its key log."""

from __future__ import annotations

import hmac
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


class Forge12:
    """As `Forge`, for TLS 1.2 (RFC 5288 section 3); the peer's Finished was its first record under the keys.

    Args:
        keylog: of `ssl`.
        server_hello: the server's first record.
        suite: the library's name of the cipher suite.
        server: whose keys.
    """

    def __init__(self, keylog: Path, server_hello: bytes, suite: str, *, server: bool) -> None:
        (line,) = [each for each in keylog.read_text().splitlines() if each.startswith("CLIENT_RANDOM")]
        client_random, master = map(bytes.fromhex, line.split()[1:])
        assert "-GCM-" in suite
        size, digest = (32, "sha384") if suite.endswith("SHA384") else (16, "sha256")
        seed = b"key expansion" + server_hello[11:43] + client_random
        block, each = b"", seed
        while len(block) < 2 * size + 8:  # RFC 5246 section 5
            each = hmac.digest(master, each, digest)
            block += hmac.digest(master, each + seed, digest)
        self._aead = AESGCM(block[size : 2 * size] if server else block[:size])
        self._salt = block[2 * size + 4 :][:4] if server else block[2 * size :][:4]
        self.sequence = 1

    def record(self, kind: int, content: bytes) -> bytes:
        number = self.sequence.to_bytes(8, "big")
        self.sequence += 1
        head = bytes((kind, 3, 3))
        sealed = self._aead.encrypt(
            self._salt + number, content, number + head + len(content).to_bytes(2, "big")
        )
        return head + (8 + len(sealed)).to_bytes(2, "big") + number + sealed
