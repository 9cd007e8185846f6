"""Certificates of any shape, good and bad, composed byte by byte."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

NOW = int(datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC).timestamp())
DAY = 86_400
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
ANY_PURPOSE = "2.5.29.37.0"


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def seq(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def integer(value: int) -> bytes:
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    content = b""
    for part in (first * 40 + second, *rest):
        chunk = [part & 0x7F]
        while rest_of_part := part >> 7 * len(chunk):
            chunk.insert(0, rest_of_part & 0x7F | 0x80)
        content += bytes(chunk)
    return tlv(6, content)


def utc_time(seconds: int) -> bytes:
    moment = datetime.fromtimestamp(seconds, UTC)
    if moment.year >= 2050:
        return tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())
    return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


def name(common: str, *, tag: int = 0x0C, organization: str | None = None) -> bytes:
    parts = []
    if organization is not None:
        parts.append(tlv(0x31, seq(oid("2.5.4.10"), tlv(tag, organization.encode()))))
    if common:
        parts.append(tlv(0x31, seq(oid("2.5.4.3"), tlv(tag, common.encode()))))
    return seq(*parts)


def curve_key(number: int, curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """A fixed key; the number tells keys apart."""
    return ec.derive_private_key(0x10001 + number, curve or ec.SECP256R1())


def ed_key(number: int) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def spki_of(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# --- extensions ----------------------------------------------------------------------------------------


def extension(identifier: str, value: bytes, critical: bool = False) -> bytes:
    return seq(oid(identifier), tlv(1, b"\xff") if critical else b"", tlv(4, value))


def basic_constraints(ca: bool, path_length: int | None = None, critical: bool = True) -> bytes:
    content = (tlv(1, b"\xff") if ca else b"") + (b"" if path_length is None else integer(path_length))
    return extension("2.5.29.19", seq(content), critical)


DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, KEY_CERT_SIGN, CRL_SIGN = 0x80, 0x20, 0x04, 0x02


def key_usage(bits: int) -> bytes:
    unused = (bits & -bits).bit_length() - 1
    return extension("2.5.29.15", tlv(3, bytes((unused, bits))), True)


def purposes(*identifiers: str, critical: bool = False) -> bytes:
    return extension("2.5.29.37", seq(*map(oid, identifiers)), critical)


def dns(text: str) -> bytes:
    return tlv(0x82, text.encode())


def ip(text: str) -> bytes:
    if "/" in text:
        network = ipaddress.ip_network(text)
        return tlv(0x87, network.network_address.packed, network.netmask.packed)
    return tlv(0x87, ipaddress.ip_address(text).packed)


def directory(der: bytes) -> bytes:
    return tlv(0xA4, der)


def alt_names(*names: bytes, critical: bool = False) -> bytes:
    return extension("2.5.29.17", seq(*names), critical)


def name_constraints(
    permitted: Sequence[bytes] = (), excluded: Sequence[bytes] = (), critical: bool = True
) -> bytes:
    lists = b""
    for tag, names in ((0xA0, permitted), (0xA1, excluded)):
        if names:
            lists += tlv(tag, *(seq(each) for each in names))
    return extension("2.5.29.30", seq(lists), critical)


def key_id(key: Key) -> bytes:
    return hashlib.sha256(spki_of(key)).digest()[:20]


def subject_key(key: Key) -> bytes:
    return extension("2.5.29.14", tlv(4, key_id(key)))


def authority_key(key: Key) -> bytes:
    return extension("2.5.29.35", seq(tlv(0x80, key_id(key))))


# --- certificates --------------------------------------------------------------------------------------

IDENTIFIERS = {
    "ecdsa-sha256": seq(oid("1.2.840.10045.4.3.2")),
    "ecdsa-sha384": seq(oid("1.2.840.10045.4.3.3")),
    "ecdsa-sha512": seq(oid("1.2.840.10045.4.3.4")),
    "ed25519": seq(oid("1.3.101.112")),
    "rsa-sha256": seq(oid("1.2.840.113549.1.1.11"), tlv(5)),
    "rsa-sha384": seq(oid("1.2.840.113549.1.1.12"), tlv(5)),
    "rsa-sha512": seq(oid("1.2.840.113549.1.1.13"), tlv(5)),
    "rsa-sha1": seq(oid("1.2.840.113549.1.1.5"), tlv(5)),
}
HASHES = {"sha256": SHA256(), "sha384": SHA384(), "sha512": SHA512()}
HASH_OIDS = {
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}


def pss_identifier(hash_name: str, salt: int, mask: str | None = None) -> bytes:
    """RSASSA-PSS (RFC 4055 section 3.1)."""
    hash_id = seq(oid(HASH_OIDS[hash_name]), tlv(5))
    mask_id = seq(oid("1.2.840.113549.1.1.8"), seq(oid(HASH_OIDS[mask or hash_name]), tlv(5)))
    parameters = seq(tlv(0xA0, hash_id), tlv(0xA1, mask_id), tlv(0xA2, integer(salt)))
    return seq(oid("1.2.840.113549.1.1.10"), parameters)


def default_algorithm(key: Key) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "rsa-sha256"
    return "ecdsa-sha256"


def sign(key: Key, algorithm: str, message: bytes) -> bytes:
    """Sign as one of `IDENTIFIERS`, or "pss-HASH-SALT"."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(HASHES[algorithm.partition("-")[2]]))
    if algorithm.startswith("pss-"):
        _, hash_name, salt = algorithm.split("-")
        hash_algorithm = HASHES[hash_name]
        return key.sign(message, padding.PSS(padding.MGF1(hash_algorithm), int(salt)), hash_algorithm)
    return key.sign(message, padding.PKCS1v15(), HASHES[algorithm.partition("-")[2]])


@dataclass(frozen=True)
class Made:
    """A certificate and the key that it speaks of."""

    der: bytes
    key: Key
    subject: bytes

    @property
    def pem(self) -> bytes:
        return to_pem(self.der)


def to_pem(*ders: bytes) -> bytes:
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
        for der in ders
    )


def make(
    subject: bytes | str,
    key: Key,
    extensions: Sequence[bytes] | None,
    *,
    issuer: Made | None = None,
    issuer_name: bytes | None = None,
    signer: Key | None = None,
    not_before: int | bytes = NOW - 100 * DAY,
    not_after: int | bytes = NOW + 100 * DAY,
    version: int = 3,
    serial: int | bytes = 0x5EED,
    algorithm: str | None = None,
    identifier: bytes | None = None,
    outer_identifier: bytes | None = None,
    spki: bytes | None = None,
    after_spki: bytes = b"",
) -> Made:
    """One certificate, signed by its own key if no issuer is given. `extensions` of None: no such field."""
    subject = name(subject) if isinstance(subject, str) else subject
    signer = signer or (issuer.key if issuer else key)
    algorithm = algorithm or default_algorithm(signer)
    inner = identifier or IDENTIFIERS[algorithm]
    tbs = seq(
        b"" if version == 1 else tlv(0xA0, integer(version - 1)),
        tlv(2, serial) if isinstance(serial, bytes) else integer(serial),
        inner,
        issuer_name or (issuer.subject if issuer else subject),
        seq(
            utc_time(not_before) if isinstance(not_before, int) else not_before,
            utc_time(not_after) if isinstance(not_after, int) else not_after,
        ),
        subject,
        spki or spki_of(key),
        after_spki,
        b"" if extensions is None else tlv(0xA3, seq(*extensions)),
    )
    signature = sign(signer, algorithm, tbs)
    der = seq(tbs, outer_identifier or inner, tlv(3, b"\0", signature))
    return Made(der, key, subject)


def make_root(
    common: str = "root", key: Key | None = None, extra: Sequence[bytes] = (), **options: object
) -> Made:
    """A self-signed issuer."""
    key = key or curve_key(1)
    path_length = options.pop("path_length", None)
    extensions = [
        basic_constraints(True, path_length),  # type: ignore[arg-type]
        key_usage(KEY_CERT_SIGN | CRL_SIGN),
        subject_key(key),
        *extra,
    ]
    return make(common, key, extensions, **options)  # type: ignore[arg-type]


def make_issuer(
    issuer: Made,
    common: str = "issuer",
    key: Key | None = None,
    extra: Sequence[bytes] = (),
    **options: object,
) -> Made:
    """An issuer below another."""
    key = key or curve_key(2)
    path_length = options.pop("path_length", None)
    extensions = [
        basic_constraints(True, path_length),  # type: ignore[arg-type]
        key_usage(KEY_CERT_SIGN | CRL_SIGN),
        subject_key(key),
        authority_key(issuer.key),
        *extra,
    ]
    return make(common, key, extensions, issuer=issuer, **options)  # type: ignore[arg-type]


def make_leaf(
    issuer: Made,
    names: Sequence[bytes] = (dns("example.com"),),
    key: Key | None = None,
    extra: Sequence[bytes] = (),
    *,
    common: str = "leaf",
    usage: int = DIGITAL_SIGNATURE,
    meant_for: Sequence[str] = (SERVER_AUTH,),
    identified: bool = True,
    **options: object,
) -> Made:
    """A peer's own certificate."""
    key = key or curve_key(3)
    extensions = [
        *([alt_names(*names)] if names else []),
        *([key_usage(usage)] if usage else []),
        *([purposes(*meant_for)] if meant_for else []),
        *([authority_key(issuer.key)] if identified else []),
        *extra,
    ]
    return make(common, key, extensions, issuer=issuer, **options)  # type: ignore[arg-type]
