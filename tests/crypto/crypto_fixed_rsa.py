"""One RSA key of 2,048 bits, made for these tests: making one takes seconds on an emulated processor."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import rsa

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
