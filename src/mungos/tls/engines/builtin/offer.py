"""What a ClientHello offers, once it has kept the rules (RFC 8446 sections 4.1.2, 4.2 and 9.2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from mungos.tls.engines.builtin.faults import IllegalParameter, MissingExtension, VersionNotSpoken
from mungos.tls.engines.builtin.messages import ClientHello, ExtensionType
from mungos.tls.engines.builtin.messages.compression import takes_zlib
from mungos.tls.engines.builtin.messages.extensions import (
    parse_alpn,
    parse_empty,
    parse_key_shares,
    parse_psk_modes,
    parse_record_size_limit,
    parse_server_name,
    parse_uint16s,
    parse_versions,
)
from mungos.tls.engines.builtin.messages.registry import TLS12, TLS13
from mungos.tls.engines.builtin.messages.stapling import staple_asked

__all__ = ["Offer", "codes", "examine"]


@dataclass(slots=True)
class Offer:
    """A ClientHello's extensions, as far as they matter here; what is looked up in them is found at once,
    however much a client lists."""

    groups: Collection[int]
    shares: dict[int, bytes]
    schemes: Collection[int] | None
    server_name: str | None
    protocols: Collection[bytes] | None
    psk_modes: list[int]
    staple_asked: bool
    takes_zlib: bool
    record_size_limit: int | None


def examine(hello: ClientHello) -> Offer:
    """The rules that a ClientHello must keep, whatever it offers (sections 4.1.2, 4.2 and 9.2)."""
    extensions = hello.extensions
    versions = extensions.get(ExtensionType.supported_versions)
    # Section 4.2.1: without the extension the client speaks TLS 1.2 or less.
    if versions is None or TLS13 not in parse_versions(versions):
        raise VersionNotSpoken("the client does not speak TLS 1.3; the engine 'openssl' also speaks TLS 1.2")
    if hello.legacy_version != TLS12:
        raise IllegalParameter(f"ClientHello: legacy_version is {hello.legacy_version:#06x}, must be 0x0303")
    # Section 4.1.2: exactly one byte, zero: illegal_parameter.
    if hello.compressions != b"\0":
        raise IllegalParameter("ClientHello: legacy_compression_methods is not the null method alone")
    groups = extensions.get(ExtensionType.supported_groups)
    shares = extensions.get(ExtensionType.key_share)
    psk_modes = extensions.get(ExtensionType.psk_key_exchange_modes)
    # Section 9.2. We resume with a key exchange only, so that both are needed in any case.
    if groups is None or shares is None:
        raise MissingExtension("ClientHello: supported_groups or key_share is missing")
    if ExtensionType.pre_shared_key in extensions and psk_modes is None:
        # Section 4.2.9: a PSK without its modes.
        raise MissingExtension("ClientHello: psk_key_exchange_modes is missing")
    schemes = extensions.get(ExtensionType.signature_algorithms)
    if schemes is None and ExtensionType.pre_shared_key not in extensions:
        raise MissingExtension("ClientHello: signature_algorithms is missing")
    if ExtensionType.early_data in extensions:
        parse_empty(extensions[ExtensionType.early_data], "early_data")
        # Section 4.2.10: early data belong to the first PSK.
        if ExtensionType.pre_shared_key not in extensions:
            raise IllegalParameter("ClientHello: early_data without pre_shared_key")
    name = extensions.get(ExtensionType.server_name)
    staple = extensions.get(ExtensionType.status_request)
    limit = extensions.get(ExtensionType.record_size_limit)
    listed = parse_uint16s(schemes, "signature_algorithms") if schemes is not None else None
    protocols = extensions.get(ExtensionType.application_layer_protocol_negotiation)
    offer = Offer(
        groups=dict.fromkeys(parse_uint16s(groups, "supported_groups")),
        shares=parse_key_shares(shares),
        schemes=dict.fromkeys(listed) if listed is not None else None,
        server_name=parse_server_name(name) if name is not None else None,
        protocols=dict.fromkeys(parse_alpn(protocols)) if protocols is not None else None,
        psk_modes=parse_psk_modes(psk_modes) if psk_modes is not None else [],
        staple_asked=staple is not None and staple_asked(staple),
        takes_zlib=takes_zlib(extensions.get(ExtensionType.compress_certificate)),
        record_size_limit=parse_record_size_limit(limit) if limit is not None else None,
    )
    for code in offer.shares:
        # Section 4.2.8: "Clients MUST NOT offer any KeyShareEntry values for groups not listed".
        if code not in offer.groups:
            raise IllegalParameter(f"ClientHello: a share for group {code:#06x}, which is not offered")
    return offer


def codes(values: Collection[int]) -> str:
    """A list of numbers for the text of an error, not longer than it need be."""
    shown = " ".join(f"{value:04x}" for value in islice(values, 16))
    return shown if len(values) <= 16 else f"{shown} and {len(values) - 16} more"
