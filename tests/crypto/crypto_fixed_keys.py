"""One fixed key of each kind, in the forms in which keys are given."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.crypto.crypto_fixed_rsa import rsa_key

H = bytes.fromhex

RSA = rsa_key()
P256 = ec.derive_private_key(0x1234567, ec.SECP256R1())
P384 = ec.derive_private_key(0x1234567, ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
AnyPrivate = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def pem(key: AnyPrivate, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def spki(key: AnyPrivate) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# RFC 4055 section 3.1: id-RSASSA-PSS without parameters, and bound to SHA-256 with a salt of 32 bytes.
PSS_FREE = H("300b06092a864886f70d01010a")
PSS_BOUND = H(
    "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
    "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
)
RSA_IDENTIFIER = H("300d06092a864886f70d0101010500")


def pss_spki(identifier: bytes) -> bytes:
    body = identifier + spki(RSA)[4 + len(RSA_IDENTIFIER) :]
    return b"\x30\x82" + len(body).to_bytes(2, "big") + body


def pss_pem(identifier: bytes) -> bytes:
    der = RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    body = der[4:7] + identifier + der[7 + len(RSA_IDENTIFIER) :]
    der = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    return b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(der) + b"-----END PRIVATE KEY-----\n"
