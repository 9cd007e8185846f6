"""RSA keys of 2,048, 1,024 and 512 bits, made for these tests: making one takes seconds on an emulated
processor."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric import rsa

from mungos.crypto.pure.der import INTEGER, OCTET_STRING, SEQUENCE, pack

RSA_P = int(
    "ef2612c24a3669b4ea336d5bf67ff5c3c8672a075cb3a1b97264393ca432aa67"
    "9c12a660be982070cdae7c63f47431857fbb9a6c131e6e7dcd0f9d6269744a73"
    "9b15c77b848ce54aefabb0c3e9f8798d90f1d463f6769ea6e5d4570e0fcb0d9c"
    "bb7dfd8c9cdb2be9b8ba2353691affa38252ffd98f6a4a347e9875f366c51847",
    16,
)
RSA_Q = int(
    "bfd03c11492ad7b4f6bfff330a41a2569b388301d23c669a0f009190d21b75e9"
    "2171f480b486900d0694fa0185af4a66d451a6f89d1f921ee85ca789edef4676"
    "78b394ca76658be78088e9877beac31ddce9f36fdaa05acb85b48ff7bf67d8f3"
    "f0727d0b85ea988c84bc8c2ce633e0ebf1856ba2c0a59f13644f99bbff0d88f7",
    16,
)


def rsa_key() -> rsa.RSAPrivateKey:
    """The fixed key."""
    e = 65537
    d = pow(e, -1, (RSA_P - 1) * (RSA_Q - 1))
    numbers = rsa.RSAPrivateNumbers(
        RSA_P,
        RSA_Q,
        d,
        rsa.rsa_crt_dmp1(d, RSA_P),
        rsa.rsa_crt_dmq1(d, RSA_Q),
        rsa.rsa_crt_iqmp(RSA_P, RSA_Q),
        rsa.RSAPublicNumbers(e, RSA_P * RSA_Q),
    )
    return numbers.private_key()


SHORT_PRIMES = {
    512: (
        0xE6C304C20530DAD034521C819E0B3799D9FE5A01D9D96F80E8887230B74C8501,
        0xEC13071316D5B1D0E33A57A65E8DE99C88B9FBFB19A27E0B3372DF4957077871,
    ),
    1024: (
        int(
            "cbe2b61083c48739bba98f0ca88f0fc6e55a4bd500eaa7940132092b60e53824"
            "3ccdaff19d2442cf536f60f645c2b5b6e6a29c8de1849fec3fa1a8a0870f329f",
            16,
        ),
        int(
            "db7e4f818de1e3db8cfb97fd7dbbb81f8ad32e135835947ce072ca93b3ddaf86"
            "4f48ba02d6105267ede8c85780be676de812035ed063ab5d619f4ae6cf44bcbf",
            16,
        ),
    ),
}
"""By the length of the modulus."""


def short_rsa_pem(bits: int, identifier: bytes) -> bytes:
    """A key of 512 or 1,024 bits as PKCS#8 in PEM. `identifier`: its AlgorithmIdentifier, DER."""
    p, q = SHORT_PRIMES[bits]
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = (0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    key = pack(SEQUENCE, *map(_integer, numbers))
    der = pack(SEQUENCE, _integer(0), identifier, pack(OCTET_STRING, key))
    return b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(der) + b"-----END PRIVATE KEY-----\n"


def _integer(number: int) -> bytes:
    return pack(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))
