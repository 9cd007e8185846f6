"""Pre-shared keys from outside TLS as they stand on the wire, imported ones too (RFC 8446 section 4.2.11.2,
RFC 9258)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from mungos.crypto.contract import HASHES, HashName, Provider
from mungos.errors import Misuse
from mungos.tls.engines.builtin.codec import Writer
from mungos.tls.engines.builtin.key_schedule import Kdf
from mungos.tls.engines.builtin.messages.registry import TLS13
from mungos.tls.external_psk import ExternalPsk

__all__ = ["EXTERNAL_BINDER", "IMPORTED_BINDER", "RESUMPTION_BINDER", "Psk", "imported", "load_psks"]

RESUMPTION_BINDER = b"res binder"
EXTERNAL_BINDER = b"ext binder"
IMPORTED_BINDER = b"imp binder"

_TARGETS: tuple[tuple[HashName, int], ...] = (("sha256", 0x0001), ("sha384", 0x0002))
"""RFC 9258 section 10: HKDF_SHA256 and HKDF_SHA384."""


@dataclass(frozen=True, slots=True)
class Psk:
    """One key for one hash.

    Attributes:
        identity: on the wire.
        key: the secret.
        hash: of the suites that it is used with.
        binder: the label of its binder key (RFC 8446 section 7.1, RFC 9258 section 5.2).
        name: the identity that was configured.
    """

    identity: bytes
    key: bytes = field(repr=False)
    hash: HashName
    binder: bytes
    name: bytes


def load_psks(
    configured: Sequence[ExternalPsk], hashes: Collection[HashName], provider: Provider
) -> tuple[Psk, ...]:
    """Those that fit one of the hashes, in order. Raises Misuse when one fits none, or an identity stands
    there twice."""
    found: dict[bytes, Psk] = {}
    for external in configured:
        usable = [psk for psk in _forms(external, provider) if psk.hash in hashes]
        if not usable:
            raise Misuse(f"no cipher suite has the hash {external.hash} of the PSK {external.identity!r}")
        for psk in usable:
            if psk.identity in found:
                raise Misuse(f"two PSKs have the identity {external.identity!r}")
            found[psk.identity] = psk
    return tuple(found.values())


def _forms(external: ExternalPsk, provider: Provider) -> list[Psk]:
    if external.imported:
        return [imported(external, hash_name, target, provider) for hash_name, target in _TARGETS]
    return [Psk(external.identity, external.key, external.hash, EXTERNAL_BINDER, external.identity)]


def imported(external: ExternalPsk, hash_name: HashName, target: int, provider: Provider) -> Psk:
    """The key that an external one gives for TLS 1.3 and one hash (RFC 9258 section 5.1)."""
    writer = Writer()
    writer.vector(2, external.identity)
    writer.vector(2, external.context)
    writer.uint(2, TLS13)
    writer.uint(2, target)
    identity = writer.getvalue()
    kdf = Kdf(provider, external.hash)
    extracted = kdf.extract(bytes(kdf.hash_length), external.key)
    digest = provider.digest(external.hash, identity)
    key = kdf.expand_label(extracted, b"derived psk", digest, HASHES[hash_name])
    return Psk(identity, key, hash_name, IMPORTED_BINDER, external.identity)
