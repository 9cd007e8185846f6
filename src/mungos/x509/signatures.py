"""Which signature a certificate bears, and checking it (RFC 4055, RFC 5758, RFC 8410)."""

from __future__ import annotations

from mungos.crypto.contract import BadSignature, HashName, PublicKey, SignatureAlgorithm
from mungos.x509 import oids
from mungos.x509.certificate import Certificate
from mungos.x509.der import NULL, OID, SEQUENCE, Reader
from mungos.x509.errors import SignatureMismatch, UnsupportedCertificate

__all__ = ["LARGEST_RSA", "SMALLEST_RSA", "check_key", "check_signature", "signature_algorithm"]

SMALLEST_RSA = 2048
LARGEST_RSA = 8192
"""Bits of an RSA modulus: below, it is weak (CA/Browser Forum BR section 6.1.5); above, it costs too much."""

_MAX_SALT = 512
"""Bytes of an RSASSA-PSS salt; more has no room in the largest modulus."""


def _identifier(oid: bytes, parameters: bytes = b"") -> bytes:
    content = bytes((OID, len(oid))) + oid + parameters
    return bytes((SEQUENCE, len(content))) + content


_NULL = bytes((NULL, 0))
_HASHES: dict[bytes, HashName] = {oids.SHA256: "sha256", oids.SHA384: "sha384", oids.SHA512: "sha512"}


def _known() -> dict[bytes, SignatureAlgorithm]:
    # RFC 5758 section 3.2 and RFC 8410 section 3: parameters are absent.
    table = {
        _identifier(oids.ECDSA_WITH_SHA256): SignatureAlgorithm("ecdsa", "sha256"),
        _identifier(oids.ECDSA_WITH_SHA384): SignatureAlgorithm("ecdsa", "sha384"),
        _identifier(oids.ECDSA_WITH_SHA512): SignatureAlgorithm("ecdsa", "sha512"),
        _identifier(oids.ED25519): SignatureAlgorithm("ed25519"),
    }
    # RFC 4055 section 5: parameters are NULL, and "MUST accept the parameters being absent".
    pkcs1: tuple[tuple[bytes, HashName], ...] = (
        (oids.SHA256_WITH_RSA, "sha256"),
        (oids.SHA384_WITH_RSA, "sha384"),
        (oids.SHA512_WITH_RSA, "sha512"),
    )
    for oid, name in pkcs1:
        for parameters in (_NULL, b""):
            table[_identifier(oid, parameters)] = SignatureAlgorithm("rsa-pkcs1", name)
    return table


_KNOWN = _known()


def signature_algorithm(identifier: bytes) -> SignatureAlgorithm:
    """What an AlgorithmIdentifier (DER) asks for.

    Raises UnsupportedCertificate when it is not spoken here (SHA-1 is not), CertificateMalformed when broken.
    """
    known = _KNOWN.get(identifier)
    if known is not None:
        return known
    with Reader(identifier).enter(SEQUENCE) as inner:
        oid = inner.oid()
        if oid != oids.RSASSA_PSS:
            raise UnsupportedCertificate(f"signature algorithm {oids.dotted(oid)} is not spoken here")
        return _pss(inner)


def _pss(inner: Reader) -> SignatureAlgorithm:
    """RSASSA-PSS-params (RFC 4055 section 3.1). What is absent stands for SHA-1, which is not spoken here."""
    with inner.enter(SEQUENCE) as parameters:
        if not parameters.next_is(0xA0):
            raise UnsupportedCertificate("RSASSA-PSS over SHA-1 is not spoken here")
        with parameters.enter(0xA0) as tagged:
            name = _hash(tagged)
        if not parameters.next_is(0xA1):
            raise UnsupportedCertificate("RSASSA-PSS with a mask over SHA-1 is not spoken here")
        with parameters.enter(0xA1) as tagged, tagged.enter(SEQUENCE) as mask:
            if (oid := mask.oid()) != oids.MGF1:
                raise UnsupportedCertificate(f"mask generation {oids.dotted(oid)} is not spoken here")
            if (mask_name := _hash(mask)) != name:
                raise UnsupportedCertificate(f"RSASSA-PSS with {name} but a mask over {mask_name}")
        salt = 20
        if parameters.next_is(0xA2):
            with parameters.enter(0xA2) as tagged:
                salt = tagged.integer()
        if not 0 <= salt <= _MAX_SALT:
            raise UnsupportedCertificate(f"an RSASSA-PSS salt of {salt} bytes (limit {_MAX_SALT} bytes)")
        if parameters.next_is(0xA3):
            with parameters.enter(0xA3) as tagged:
                if (trailer := tagged.integer()) != 1:
                    raise UnsupportedCertificate(f"RSASSA-PSS trailer field {trailer} is not 1")
    return SignatureAlgorithm("rsa-pss", name, salt)


def _hash(reader: Reader) -> HashName:
    """A hash's AlgorithmIdentifier; its parameters are NULL or absent (RFC 4055 section 2.1)."""
    with reader.enter(SEQUENCE) as inner:
        oid = inner.oid()
        if inner.more():
            inner.bounds(NULL)
    if oid not in _HASHES:
        raise UnsupportedCertificate(f"hash {oids.dotted(oid)} is not spoken here")
    return _HASHES[oid]


def check_key(key: PublicKey) -> None:
    """Whether a key is of a strength that is believed and a size that is affordable.

    Raises UnsupportedCertificate.
    """
    if key.kind in {"rsa", "rsa-pss"} and not SMALLEST_RSA <= key.bits <= LARGEST_RSA:
        raise UnsupportedCertificate(
            f"an RSA key of {key.bits} bits (from {SMALLEST_RSA} to {LARGEST_RSA} bits)"
        )


def check_signature(certificate: Certificate, key: PublicKey) -> None:
    """Check a certificate's signature with its issuer's key.

    Raises SignatureMismatch when it does not fit, UnsupportedCertificate as `signature_algorithm` and
    `check_key`."""
    algorithm = signature_algorithm(certificate.signature_algorithm)
    check_key(key)
    try:
        key.verify_algorithm(algorithm, certificate.signature, certificate.tbs)
    except BadSignature as error:
        raise SignatureMismatch(f"the issuer did not sign this certificate: {error}") from None
