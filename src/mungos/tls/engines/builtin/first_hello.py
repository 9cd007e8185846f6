"""The ClientHello that a client begins with (RFC 8446 sections 4.1.2 and 9.2), GREASE in it (RFC 8701)."""

from __future__ import annotations

from collections.abc import Sequence

from mungos.tls.engines.builtin.messages import ExtensionType
from mungos.tls.engines.builtin.messages.compression import OFFER_ZLIB
from mungos.tls.engines.builtin.messages.extensions import (
    Extensions,
    pack_alpn,
    pack_each,
    pack_key_share,
    pack_uints,
    pack_versions,
)
from mungos.tls.engines.builtin.messages.registry import TLS13
from mungos.tls.engines.builtin.messages.stapling import ASK_STAPLE

__all__ = ["HelloForm", "grease", "hello_forms"]

PSK_DHE_KE = 1
GREASE_FORMS = 16


class HelloForm:
    """What every first ClientHello of a configuration offers alike; of each there are 16 with other values
    of GREASE, and one without.

    Attributes:
        suites: numbers.
        first: the extension in front, if any.
        extensions: those of the configuration, in order; server_name goes before them, key_share and
            pre_shared_key behind.
        share: in front of the key shares, where there is GREASE; packed.
        last: the extension behind key_share, if any.
        packed_first, packed: `first` and `extensions` as they stand on the wire.
    """

    __slots__ = ("extensions", "first", "last", "packed", "packed_first", "share", "suites")

    def __init__(
        self,
        suites: list[int],
        extensions: Extensions,
        first: Extensions | None = None,
        last: Extensions | None = None,
        share: bytes = b"",
    ) -> None:
        self.suites = suites
        self.extensions = extensions
        self.first = first or {}
        self.last = last or {}
        self.share = share
        self.packed_first = pack_each(self.first)
        self.packed = pack_each(extensions)


def grease(nibble: int) -> int:
    """One of the 16 reserved numbers (RFC 8701 section 2)."""
    return 0x0A0A + 0x1010 * (nibble & 15)


def hello_forms(
    suites: Sequence[int],
    groups: Sequence[int],
    schemes: Sequence[int],
    alpn: Sequence[bytes],
    *,
    greased: bool,
    staple: bool,
    compression: bool,
    record_size_limit: int,
) -> tuple[HelloForm, ...]:
    """The forms, one of which is chosen at random for each session."""

    def form(before: list[int], protocols: list[bytes]) -> HelloForm:
        extensions: Extensions = {
            ExtensionType.supported_groups: pack_uints(2, 2, [*before, *groups]),
            ExtensionType.signature_algorithms: pack_uints(2, 2, [*before, *schemes]),
        }
        if alpn:
            names = [*alpn, *protocols]
            extensions[ExtensionType.application_layer_protocol_negotiation] = pack_alpn(names)
        if staple:
            extensions[ExtensionType.status_request] = ASK_STAPLE
        if compression:
            extensions[ExtensionType.compress_certificate] = OFFER_ZLIB
        extensions[ExtensionType.record_size_limit] = record_size_limit.to_bytes(2, "big")
        extensions[ExtensionType.supported_versions] = pack_versions([*before, TLS13])
        # Never a reserved one here: Mbed TLS 3.6 refuses modes that it does not know with illegal_parameter.
        extensions[ExtensionType.psk_key_exchange_modes] = pack_uints(1, 1, [PSK_DHE_KE])
        return HelloForm([*before, *suites], extensions)

    if not greased:
        return (form([], []),)
    forms = []
    for nibble in range(GREASE_FORMS):
        value = grease(nibble)
        # RFC 8701 section 3.1.
        made = form([value], [value.to_bytes(2, "big")])
        made.first = {value: b""}
        made.packed_first = pack_each(made.first)
        # A body that is not empty, so that servers learn to pass over that, too.
        made.last = {grease(nibble + 1): b"\0"}
        made.share = pack_key_share(value, b"\0")
        forms.append(made)
    return tuple(forms)
