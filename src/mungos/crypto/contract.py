"""What TLS and X.509 ask of a cryptographic library: primitives by the names that the RFCs give them.

A provider holds no state of a session. Everything that can fail by a peer's fault raises a kind of
`ProtocolError`: these are leaf calls, and their callers map the error to an alert. Values out of range
that only our own code can hand in raise `Misuse`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from typing import Protocol as Contract

from mungos.errors import Malformed, PeerIncompatible, PeerMisbehaved
from mungos.protocol import Buffer

__all__ = [
    "AEAD",
    "AEADS",
    "GROUPS",
    "HASHES",
    "MAX_RSA_EXPONENT",
    "MAX_RSA_MODULUS",
    "SCHEMES",
    "TAG_LENGTH",
    "AEADParameters",
    "BadKey",
    "BadShare",
    "BadSignature",
    "BadTag",
    "GroupParameters",
    "Hash",
    "HashName",
    "KeyExchange",
    "KeyKind",
    "KeyShare",
    "PrivateKey",
    "Provider",
    "PublicKey",
    "Random",
    "SignatureAlgorithm",
    "SignatureScheme",
    "Unsupported",
]

Random = Callable[[int], bytes]
"""Gives that many random bytes: the caller's source, so that a test or a simulation can repeat itself."""

HashName = Literal["sha256", "sha384", "sha512"]
KeyKind = Literal["rsa", "rsa-pss", "secp256r1", "secp384r1", "ed25519"]
"""What a key is: the algorithm, and for elliptic curves the curve. "rsa" is rsaEncryption, "rsa-pss" is
id-RSASSA-PSS (RFC 4055 section 1.2)."""

HASHES: dict[str, int] = {"sha256": 32, "sha384": 48, "sha512": 64}
"""Hash functions and the length of their output in bytes."""

MAX_RSA_MODULUS = 8192
"""Bits of an RSA modulus: a key with more is not loaded. The largest of the usual roots have 4,096."""

MAX_RSA_EXPONENT = 32
"""Bits of an RSA public exponent: each costs a squaring, and nearly all keys have 65,537, of 17 bits."""

TAG_LENGTH = 16
"""Bytes that each of the AEADs below adds (RFC 5116 section 5, RFC 8439 section 2.8)."""


class BadTag(PeerMisbehaved):
    """The AEAD's tag does not fit: wrong key, wrong nonce, or a changed message."""


class BadSignature(PeerMisbehaved):
    """The signature does not fit the message and the key."""


class BadShare(PeerMisbehaved):
    """A key share of the wrong length, a point that is not on the curve, or a result of all zeros
    (RFC 8446 section 4.2.8.2, RFC 7748 section 6.1)."""


class BadKey(Malformed):
    """A public key that can't be parsed, or that its own algorithm forbids."""


class Unsupported(PeerIncompatible):
    """A well-formed key, parameter or algorithm that this provider does not have."""


@dataclass(frozen=True, slots=True)
class AEADParameters:
    """Lengths in bytes of one AEAD; the tag is always `TAG_LENGTH`."""

    key_length: int
    nonce_length: int = 12


AEADS: dict[str, AEADParameters] = {
    "AES-128-GCM": AEADParameters(16),
    "AES-256-GCM": AEADParameters(32),
    "CHACHA20-POLY1305": AEADParameters(32),
}


@dataclass(frozen=True, slots=True)
class GroupParameters:
    """Lengths in bytes of one key exchange group's `key_exchange` fields.

    Attributes:
        client_share: what a client sends.
        server_share: what a server answers.
        secret: the shared secret.
    """

    client_share: int
    server_share: int
    secret: int


GROUPS: dict[str, GroupParameters] = {
    "x25519": GroupParameters(32, 32, 32),
    "secp256r1": GroupParameters(65, 65, 32),
    "secp384r1": GroupParameters(97, 97, 48),
    "X25519MLKEM768": GroupParameters(1184 + 32, 1088 + 32, 32 + 32),
}
"""By the names of the TLS Supported Groups registry. The hybrid is draft-ietf-tls-ecdhe-mlkem: ML-KEM's part
stands first in both shares and in the secret."""


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """What is computed, independent of who names it: TLS by a SignatureScheme, X.509 by an
    AlgorithmIdentifier.

    Attributes:
        family: "ecdsa", "ed25519", "rsa-pkcs1" or "rsa-pss".
        hash: the hash over the message; None for Ed25519, which has its own.
        salt_length: for "rsa-pss", in bytes; the mask is MGF1 over the same hash.
    """

    family: Literal["ecdsa", "ed25519", "rsa-pkcs1", "rsa-pss"]
    hash: HashName | None = None
    salt_length: int = 0


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """One row of RFC 8446 section 4.2.3.

    Attributes:
        name: the RFC's name.
        code: the number on the wire.
        algorithm: what is computed.
        key: the only kind of key that may bear it (the scheme names the curve in TLS 1.3).
        handshake: whether TLS 1.3 allows it in CertificateVerify; RSASSA-PKCS1-v1_5 is for chains only.
    """

    name: str
    code: int
    algorithm: SignatureAlgorithm
    key: KeyKind
    handshake: bool = True


def _schemes() -> dict[str, SignatureScheme]:
    rows = [
        SignatureScheme("ecdsa_secp256r1_sha256", 0x0403, SignatureAlgorithm("ecdsa", "sha256"), "secp256r1"),
        SignatureScheme("ecdsa_secp384r1_sha384", 0x0503, SignatureAlgorithm("ecdsa", "sha384"), "secp384r1"),
        SignatureScheme("ed25519", 0x0807, SignatureAlgorithm("ed25519"), "ed25519"),
    ]
    hashes: tuple[tuple[HashName, int], ...] = (("sha256", 0), ("sha384", 1), ("sha512", 2))
    for hash_name, index in hashes:
        pss = SignatureAlgorithm("rsa-pss", hash_name, HASHES[hash_name])
        pkcs1 = SignatureAlgorithm("rsa-pkcs1", hash_name)
        rows.append(SignatureScheme(f"rsa_pss_rsae_{hash_name}", 0x0804 + index, pss, "rsa"))
        rows.append(SignatureScheme(f"rsa_pss_pss_{hash_name}", 0x0809 + index, pss, "rsa-pss"))
        rows.append(SignatureScheme(f"rsa_pkcs1_{hash_name}", 0x0401 + 0x100 * index, pkcs1, "rsa", False))
    return {row.name: row for row in rows}


SCHEMES: dict[str, SignatureScheme] = _schemes()
"""Every signature scheme of this package, by the name in RFC 8446 section 4.2.3."""


class AEAD(Contract):
    """One key of one AEAD (RFC 5116). Arguments are positional only, so that an implementation may hand out
    its library's own functions.

    Attributes:
        bare_fault: what `bare_decrypt` raises: the library's own exception, or BadTag.
    """

    bare_fault: type[Exception]

    def encrypt(self, nonce: Buffer, plaintext: Buffer, associated_data: Buffer, /) -> bytes:
        """The ciphertext with its tag: `TAG_LENGTH` bytes longer than `plaintext`. `nonce`: 12 bytes, never
        used twice with one key."""

    def decrypt(self, nonce: Buffer, ciphertext: Buffer, associated_data: Buffer, /) -> bytes:
        """The plaintext. Raises BadTag when the tag does not fit, or `ciphertext` is too short for one."""

    def bare_decrypt(self, nonce: Buffer, ciphertext: Buffer, associated_data: Buffer, /) -> bytes:
        """As `decrypt`, but raises `bare_fault` where that raises BadTag: for a hot path, which is spared a
        frame around the library's function. The caller makes it a BadTag."""

    def encrypt_into(
        self, nonce: Buffer, plaintext: Buffer, associated_data: Buffer, buffer: bytearray | memoryview, /
    ) -> int:
        """As `encrypt`, into `buffer`, which is exactly `TAG_LENGTH` bytes longer than `plaintext` and does
        not overlap it (ValueError for another length). Returns bytes written. Where the library can't, this
        copies."""

    def decrypt_into(
        self, nonce: Buffer, ciphertext: Buffer, associated_data: Buffer, buffer: bytearray | memoryview, /
    ) -> int:
        """As `decrypt`, into `buffer`, which is exactly `TAG_LENGTH` bytes shorter than `ciphertext` and does
        not overlap it. Returns bytes written. After BadTag what stands in `buffer` is undefined."""


class Hash(Contract):
    """A running hash (the shape of `hashlib`'s)."""

    def update(self, data: Buffer, /) -> None:
        """Take more of the message."""

    def digest(self) -> bytes:
        """The hash of what was taken so far; `update` may go on."""

    def copy(self) -> Hash:
        """An independent hash in the same state."""


class KeyShare(Contract):
    """Our half of a key exchange, private part included. Used once."""

    group: str
    public: bytes
    """What goes into the `key_exchange` field."""

    def exchange(self, peer_share: Buffer, /) -> bytes:
        """The shared secret. Raises BadShare on a wrong length, an invalid point or an all-zero result."""


class KeyExchange(Contract):
    """One group. Holds no key of its own."""

    group: str

    def generate(self, random: Random | None = None) -> KeyShare:
        """A fresh share, for a client. `random`: source of its private key, else the library itself."""

    def from_private_bytes(self, private: bytes) -> KeyShare:
        """A share with a given private key: 32 bytes for x25519, the scalar (32 or 48 bytes, big-endian) for
        secp256r1 and secp384r1, ML-KEM's 64-byte seed and then x25519's 32 bytes for the hybrid.
        Raises Misuse when it is not a private key of the group."""

    def encapsulate(self, peer_share: Buffer, random: Random | None = None) -> tuple[bytes, bytes]:
        """A server's side: the share to answer with, and the secret. Raises BadShare. `random` as in
        `generate`; ML-KEM's encapsulation takes its own randomness where the library has no other way."""


class PublicKey(Contract):
    """A public key, from a certificate or from our own private key."""

    kind: KeyKind
    bits: int
    """Length of the modulus for RSA, else of the curve's field."""

    spki: bytes
    """SubjectPublicKeyInfo, DER, as it was given."""

    def verify(self, scheme: str, signature: Buffer, message: Buffer, /) -> None:
        """Check by the name of a TLS SignatureScheme. Returns when the signature fits, else raises
        BadSignature, also when the scheme is not of this kind of key; Misuse on an unknown name."""

    def verify_algorithm(self, algorithm: SignatureAlgorithm, signature: Buffer, message: Buffer, /) -> None:
        """Check as X.509 names it, where the curve and the hash are chosen freely. Raises as `verify`."""


class PrivateKey(Contract):
    """A private key that signs."""

    kind: KeyKind
    schemes: tuple[str, ...]
    """TLS 1.3 schemes for CertificateVerify that this key can sign, in order of preference."""

    public: PublicKey

    def sign(self, scheme: str, message: Buffer, /) -> bytes:
        """Sign by the name of a TLS SignatureScheme. Raises Misuse when this key can't bear it."""


class Provider(Contract):
    """A cryptographic library behind the names of the RFCs."""

    name: str
    version: str
    """The library's own version text."""

    def supports(self, feature: str) -> bool:
        """Whether an AEAD, hash, group, signature scheme (all by the names of the tables in this module) or
        "encrypt-into" (no copy in `AEAD.encrypt_into`) is there. False for an unknown name."""

    def aead(self, name: str, key: Buffer) -> AEAD:
        """`name`: a key of `AEADS`, or the IANA name of a TLS 1.3 suite ("TLS_AES_128_GCM_SHA256"). Raises
        Misuse on an unknown name or a key of the wrong length."""

    def hash(self, name: str) -> Hash:
        """A running hash; `name` is a key of `HASHES`. Raises Misuse on another."""

    def digest(self, name: str, data: Buffer) -> bytes:
        """The hash of one message."""

    def hmac(self, name: str, key: Buffer, data: Buffer) -> bytes:
        """RFC 2104."""

    def hkdf_extract(self, name: str, salt: Buffer, key: Buffer) -> bytes:
        """RFC 5869 section 2.2. An empty salt means zeros."""

    def hkdf_expand(self, name: str, key: Buffer, info: Buffer, length: int) -> bytes:
        """RFC 5869 section 2.3. `length`: bytes, at most 255 times the hash's length, else Misuse."""

    def hkdf_expand_each(self, name: str, key: Buffer, infos: Sequence[Buffer]) -> list[bytes]:
        """`hkdf_expand` under one key for each of `infos`, each result as long as the hash."""

    def key_exchange(self, group: str) -> KeyExchange:
        """A key of `GROUPS` that `supports` names. Raises Unsupported on another."""

    def public_key(self, spki: Buffer) -> PublicKey:
        """From SubjectPublicKeyInfo, DER. Raises BadKey when it can't be parsed, Unsupported when it is of a
        kind that is not spoken here, or costs too much (`MAX_RSA_MODULUS`, `MAX_RSA_EXPONENT`)."""

    def private_key(self, pem: bytes) -> PrivateKey:
        """From PEM: PKCS#8, SEC1 or PKCS#1, unencrypted; the first private key in the text. Raises Misuse
        when there is none, or it is encrypted or of an unknown kind."""

    def constant_time_equal(self, one: Buffer, other: Buffer) -> bool:
        """Compare without telling by the time taken where they differ."""
