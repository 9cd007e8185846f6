"""Names and keys in words, for messages: printable, bounded, and nothing in them that could pass for more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mungos.x509 import oids
from mungos.x509.der import BIT_STRING, NULL, OID, SEQUENCE, SET, Reader

__all__ = ["MAX_NAME_TEXT", "key_text", "name_text"]

MAX_NAME_TEXT = 256
"""Characters of one name in words; what is longer is cut, and ends in an ellipsis."""

# RFC 4519 section 2, RFC 4514 section 3; emailAddress from PKCS #9.
_ATTRIBUTES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
# X.680 section 8.4: TeletexString, as it is met, and BMPString; the others are ASCII or UTF-8.
_ENCODINGS: Final = {0x14: "latin-1", 0x1E: "utf-16-be"}
_SPECIAL: Final = frozenset('"+,;<>\\')  # RFC 4514 section 2.4

# RFC 8017 appendix C, RFC 5480 section 2.1.1.1, RFC 8410 section 3.
_RSA: Final = oids.encoded("1.2.840.113549.1.1.1")
_EC: Final = oids.encoded("1.2.840.10045.2.1")
_CURVES: Final = {
    "1.2.840.10045.3.1.7": "secp256r1",
    "1.3.132.0.34": "secp384r1",
    "1.3.132.0.35": "secp521r1",
}
_MAX_MODULUS: Final = 1 + 16_384 // 8  # bytes, the one in front that makes it positive among them
_KEYS: Final = {"1.3.101.112": "Ed25519", "1.3.101.113": "Ed448"}


def name_text(der: bytes) -> str:
    """A Name in words, most general part first, as it stands: "O=Example, CN=example.org".

    Args:
        der: an RDNSequence (RFC 5280 section 4.1.2.4).

    Returns:
        At most `MAX_NAME_TEXT` characters, all of them printable.

    Raises CertificateMalformed.
    """
    text = ""
    for kind, value in _attributes(der):
        text += f"{', ' if text else ''}{_ATTRIBUTES.get(kind, kind)}={''.join(map(_harmless, value))}"
        if len(text) > MAX_NAME_TEXT:
            # What follows is not looked at: a name may be as long as a certificate, and come often.
            return text[: MAX_NAME_TEXT - 1] + "…"
    return text or "(empty)"


def _attributes(der: bytes) -> Iterator[tuple[str, str]]:
    with Reader(der) as whole, whole.enter(SEQUENCE) as sequence:
        while sequence.more():
            with sequence.enter(SET) as relative:
                while relative.more():
                    with relative.enter(SEQUENCE) as attribute:
                        kind = oids.dotted(attribute.content(OID))
                        tag, start, stop = attribute.any()
                    stop = min(stop, start + 4 * MAX_NAME_TEXT)
                    yield kind, der[start:stop].decode(_ENCODINGS.get(tag, "utf-8"), "replace")


def _harmless(character: str) -> str:
    if character in _SPECIAL:
        return "\\" + character
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def key_text(spki: bytes) -> str:
    """The kind of a public key: "RSA 2048 bits", "RSA-PSS 3072 bits", "EC secp256r1", "Ed25519"; the dotted
    identifier of one that is not known.

    Args:
        spki: SubjectPublicKeyInfo, DER (RFC 5280 section 4.1.2.7).

    Raises CertificateMalformed.
    """
    with Reader(spki) as whole, whole.enter(SEQUENCE) as info:
        with info.enter(SEQUENCE) as algorithm:
            kind = algorithm.oid()
            curve = ""
            if kind == _EC and algorithm.next_is(OID):
                curve = oids.dotted(algorithm.oid())
            elif algorithm.next_is(NULL):
                algorithm.bounds(NULL)
            elif algorithm.more():
                algorithm.any()
        key, _ = info.bit_string(BIT_STRING)
    if kind == _EC:
        return f"EC {_CURVES.get(curve, curve) or 'without a named curve'}"
    if kind in (_RSA, oids.RSASSA_PSS):
        with Reader(key) as whole, whole.enter(SEQUENCE) as numbers:
            modulus = numbers.integer(_MAX_MODULUS)
            numbers.integer(_MAX_MODULUS)
        return f"{'RSA' if kind == _RSA else 'RSA-PSS'} {modulus.bit_length()} bits"
    name = oids.dotted(kind)
    return _KEYS.get(name, name)
