"""The block of extensions and what stands in each (RFC 8446 section 4.2).

A message keeps its extensions as they stand on the wire, in order; each is parsed when it is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from struct import Struct, unpack_from

from mungos.tls.bounds import MAX_KEY_SHARES
from mungos.tls.config import LEAST_RECORD_SIZE
from mungos.tls.engines.builtin.codec import Reader, Writer
from mungos.tls.engines.builtin.faults import DecodeError, IllegalParameter, UnsupportedExtension
from mungos.tls.engines.builtin.messages.registry import ALLOWED, Context, extension_name

__all__ = [
    "Extensions",
    "OfferedPsks",
    "PskIdentity",
    "check_solicited",
    "pack_alpn",
    "pack_block",
    "pack_cookie",
    "pack_each",
    "pack_extensions",
    "pack_key_share",
    "pack_key_shares",
    "pack_offered_psks",
    "pack_server_name",
    "pack_uints",
    "pack_versions",
    "packed_extensions",
    "parse_alpn",
    "parse_cookie",
    "parse_empty",
    "parse_extensions",
    "parse_key_share",
    "parse_key_shares",
    "parse_offered_psks",
    "parse_psk_modes",
    "parse_record_size_limit",
    "parse_server_name",
    "parse_single_alpn",
    "parse_uint16",
    "parse_uint16s",
    "parse_uint32",
    "parse_versions",
]

_VISIBLE = bytes(range(0x21, 0x7F))

_HEAD = Struct("!HH")  # a number, and how many bytes follow
_HEAD_OF_NAME = Struct("!HBH")  # bytes of the list, type of its first name, bytes of that
_MISPLACED = {
    context: frozenset(code for code, allowed in ALLOWED.items() if context not in allowed)
    for context in Context
}

Extensions = dict[int, bytes]
"""The type and the body of each extension, in the order of the wire."""


def parse_extensions(reader: Reader, context: Context) -> Extensions:
    """Read the block; what does not belong into this message is an error."""
    block = reader.vector(2, "extensions")
    end = len(block)
    at = 0
    found: Extensions = {}
    misplaced = _MISPLACED[context]
    while at < end:
        # Extension: uint16 extension_type, opaque extension_data<0..2^16-1>.
        start = at + 4
        if start > end:
            raise DecodeError(f"{context.value}: {end - at} bytes are left over behind the extensions")
        code = block[at] << 8 | block[at + 1]
        at = start + (block[at + 2] << 8 | block[at + 3])
        if at > end:
            raise DecodeError(
                f"{context.value}: {extension_name(code)} has {at - start} bytes, {end - start} are there"
            )
        body = block[start:at]
        # Section 4.2: "There MUST NOT be more than one extension of the same type" in a block.
        if code in found:
            raise IllegalParameter(f"{context.value}: {extension_name(code)} stands there twice")
        # Section 4.2: one that we recognize and that is not specified for the message: illegal_parameter.
        if code in misplaced:
            raise IllegalParameter(
                f"{context.value}: {extension_name(code)} does not belong into this message"
            )
        found[code] = body
    return found


def pack_block(block: bytes) -> bytes:
    """What is there, behind its length in two bytes."""
    return len(block).to_bytes(2, "big") + block


def pack_each(extensions: Extensions, begun: int = 0) -> bytes:
    """The extensions behind the first `begun` ones, one after another."""
    head = _HEAD.pack
    block: list[bytes] = []
    for code, body in islice(extensions.items(), begun, None):
        block.append(head(code, len(body)))
        block.append(body)
    return b"".join(block)


def packed_extensions(extensions: Extensions, begun: int = 0, start: bytes = b"") -> bytes:
    """The block, behind its length; the first `begun` of them are `start`, which was packed before."""
    return pack_block(start + pack_each(extensions, begun))


def pack_extensions(writer: Writer, extensions: Extensions) -> None:
    """Write the block."""
    writer.opaque(packed_extensions(extensions))


def check_solicited(extensions: Extensions, offered: Collection[int], context: Context) -> None:
    """RFC 8446 section 4.2: an answer to what was not asked is refused with unsupported_extension; so is one
    to GREASE (RFC 8701 section 3.1), which is all that is offered without a name."""
    for code in extensions:
        if code not in offered or code not in ALLOWED:
            raise UnsupportedExtension(f"{context.value}: {extension_name(code)} was not offered")


def parse_uint16(body: bytes, what: str) -> int:
    """One number of 16 bits and nothing else (the answers in supported_versions and key_share)."""
    if len(body) == 2:
        return body[0] << 8 | body[1]
    raise DecodeError(f"{what}: {len(body)} bytes are no number of 2 bytes")


def parse_uint32(body: bytes, what: str) -> int:
    """One number of 32 bits and nothing else (early_data in NewSessionTicket)."""
    reader = Reader(body, what)
    value = reader.uint(4, "value")
    reader.close()
    return value


def parse_record_size_limit(body: bytes) -> int:
    """record_size_limit (RFC 8449 section 4): bytes of the peer's largest record, its content type included.
    What is over TLS's own limit says nothing."""
    limit = parse_uint16(body, "record_size_limit")
    # RFC 8449 section 4: "Endpoints MUST NOT send a "record_size_limit" extension with a value smaller than
    # 64"; illegal_parameter.
    if limit < LEAST_RECORD_SIZE:
        raise IllegalParameter(f"record_size_limit is {limit} bytes, at least {LEAST_RECORD_SIZE} bytes")
    return limit


def parse_empty(body: bytes, what: str) -> None:
    """An extension whose presence is all it says."""
    if body:
        raise DecodeError(f"{what}: {len(body)} bytes are left over")


def parse_uint16s(body: bytes, what: str) -> list[int]:
    """A list of numbers of 16 bits (supported_groups, signature_algorithms, section 4.2.3 and 4.2.7)."""
    size = len(body)
    if size < 4 or size & 1 or body[0] << 8 | body[1] != size - 2:
        raise DecodeError(f"{what}: {size} bytes are no list of numbers of 2 bytes behind its length")
    return list(unpack_from(f"!{size // 2 - 1}H", body, 2))


def pack_uints(prefix: int, size: int, values: Sequence[int]) -> bytes:
    """A list of numbers behind its length."""
    writer = Writer()
    writer.uints(prefix, size, tuple(values))
    return writer.getvalue()


def parse_versions(body: bytes) -> list[int]:
    """supported_versions in a ClientHello (section 4.2.1)."""
    size = len(body)
    if size < 3 or not size & 1 or body[0] != size - 1:
        raise DecodeError(f"supported_versions: {size} bytes are no list of versions behind its length")
    return list(unpack_from(f"!{size // 2}H", body, 1))


def pack_versions(values: Sequence[int]) -> bytes:
    """supported_versions in a ClientHello (section 4.2.1)."""
    return pack_uints(1, 2, values)


def parse_psk_modes(body: bytes) -> list[int]:
    """psk_key_exchange_modes (section 4.2.9)."""
    if len(body) < 2 or body[0] != len(body) - 1:
        raise DecodeError(f"psk_key_exchange_modes: {len(body)} bytes are no list of modes behind its length")
    return list(body[1:])


def parse_cookie(body: bytes) -> bytes:
    """cookie (section 4.2.2)."""
    reader = Reader(body, "cookie")
    cookie = reader.vector(2, "cookie", 1)
    reader.close()
    return cookie


def pack_cookie(cookie: bytes) -> bytes:
    """cookie (section 4.2.2)."""
    return pack_block(cookie)


def parse_server_name(body: bytes) -> str | None:
    """server_name in a ClientHello (RFC 6066 section 3): the host_name in lower case, or None."""
    host: bytes | None
    size = len(body)
    # The usual case first: one host_name.
    if size > 5 and body[2] == 0 and _HEAD_OF_NAME.unpack_from(body) == (size - 2, 0, size - 5):
        host = body[5:]
    else:
        host = _only_host_name(body)
    if host is None:
        return None
    # RFC 6066 section 3: a host_name is ASCII, has no trailing dot, and is not an address.
    text = host.decode("latin-1")
    if len(host) > 253 or host.translate(None, _VISIBLE):
        raise IllegalParameter(f"server_name: {len(host)} bytes that are not a DNS host name")
    return text.lower()


def _only_host_name(body: bytes) -> bytes | None:
    reader = Reader(body, "server_name")
    names = reader.block(2, "server_name_list", 1)
    host: bytes | None = None
    seen: set[int] = set()
    while names.left:
        kind = names.uint(1, "name_type")
        name = names.vector(2, "name", 1)
        # RFC 6066 section 3: "MUST NOT contain more than one name of the same name_type".
        if kind in seen:
            raise IllegalParameter(f"server_name: two names of type {kind}")
        seen.add(kind)
        if kind == 0:
            host = name
    reader.close()
    return host


def pack_server_name(name: str) -> bytes:
    """server_name in a ClientHello (RFC 6066 section 3)."""
    host = name.encode("ascii")
    size = len(host)
    # NameType.host_name is 0.
    return b"".join(((size + 3).to_bytes(2, "big"), b"\0", size.to_bytes(2, "big"), host))


def parse_alpn(body: bytes) -> list[bytes]:
    """application_layer_protocol_negotiation (RFC 7301 section 3.1)."""
    size = len(body)
    if size < 4 or body[0] << 8 | body[1] != size - 2:
        raise DecodeError(
            f"application_layer_protocol_negotiation: {size} bytes are no list of names behind its length"
        )
    at = 2
    names: list[bytes] = []
    # Without a call for each: a list may have 32,000.
    while at < size:
        start = at + 1
        at = start + body[at]
        if at == start or at > size:
            raise DecodeError(
                f"application_layer_protocol_negotiation: a name of {at - start} bytes, "
                f"{size - start} are there"
            )
        names += (body[start:at],)
    return names


def pack_alpn(names: Sequence[bytes]) -> bytes:
    """application_layer_protocol_negotiation (RFC 7301 section 3.1)."""
    block = Writer()
    for name in names:
        block.vector(1, name)
    return pack_block(block.getvalue())


def parse_key_shares(body: bytes) -> dict[int, bytes]:
    """key_share in a ClientHello (section 4.2.8): the groups and their shares, in the client's order."""
    end = len(body)
    if end < 2 or body[0] << 8 | body[1] != end - 2:
        raise DecodeError(f"key_share: {end} bytes are no list of shares behind its length")
    at = 2
    shares: dict[int, bytes] = {}
    while at < end:
        start = at + 4
        if start >= end:
            raise DecodeError(f"key_share: {end - at} bytes are left over behind the shares")
        if len(shares) == MAX_KEY_SHARES:
            raise IllegalParameter(f"key_share: over {MAX_KEY_SHARES} shares")
        group, size = _HEAD.unpack_from(body, at)
        at = start + size
        share = body[start:at]
        if not size or at > end:
            raise DecodeError(f"key_share: a share of {size} bytes, {end - start} are there")
        # Section 4.2.8: "Clients MUST NOT offer multiple KeyShareEntry values for the same group."
        if group in shares:
            raise IllegalParameter(f"key_share: two shares for group {group:#06x}")
        shares[group] = share
    return shares


def pack_key_shares(shares: Sequence[tuple[int, bytes]]) -> bytes:
    """key_share in a ClientHello (section 4.2.8)."""
    return pack_block(b"".join([pack_key_share(group, share) for group, share in shares]))


def pack_key_share(group: int, share: bytes) -> bytes:
    """key_share in a ServerHello, and each entry of a ClientHello's (section 4.2.8)."""
    return _HEAD.pack(group, len(share)) + share


def parse_key_share(body: bytes) -> tuple[int, bytes]:
    """key_share in a ServerHello (section 4.2.8): group and share."""
    if len(body) > 4:
        group, size = _HEAD.unpack_from(body)
        if size == len(body) - 4:
            return group, body[4:]
    raise DecodeError(f"key_share: {len(body)} bytes are no group and a share behind its length")


@dataclass(slots=True)
class PskIdentity:
    """One offered ticket (section 4.2.11)."""

    identity: bytes
    obfuscated_age: int


@dataclass(slots=True)
class OfferedPsks:
    """pre_shared_key in a ClientHello (section 4.2.11).

    Attributes:
        binders_length: bytes from the binders' length field to the end of the message: what a binder's own
            transcript leaves out (section 4.2.11.2).
    """

    identities: list[PskIdentity]
    binders: list[bytes]
    binders_length: int = 0


def parse_offered_psks(body: bytes) -> OfferedPsks:
    """pre_shared_key in a ClientHello (section 4.2.11)."""
    reader = Reader(body, "pre_shared_key")
    block = reader.vector(2, "identities", 7)
    at, end = 0, len(block)
    identities: list[PskIdentity] = []
    while at < end:
        # PskIdentity: opaque identity<1..2^16-1>, uint32 obfuscated_ticket_age.
        start = at + 2
        size = block[at] << 8 | block[at + 1] if start <= end else 0
        at = start + size + 4
        if not size or at > end:
            raise DecodeError(f"pre_shared_key: an identity of {size} bytes, {end - start} are there")
        age = int.from_bytes(block[at - 4 : at], "big")
        identities.append(PskIdentity(block[start : at - 4], age))
    binders_length = reader.left
    block = reader.vector(2, "binders", 33)
    at, end = 0, len(block)
    binders: list[bytes] = []
    while at < end:
        # opaque PskBinderEntry<32..255>
        start = at + 1
        at = start + block[at]
        if at - start < 32 or at > end:
            raise DecodeError(f"pre_shared_key: a binder of {at - start} bytes, {end - start} are there")
        binders.append(block[start:at])
    reader.close()
    # Section 4.2.11: each identity has its binder, in the same order.
    if len(identities) != len(binders):
        raise IllegalParameter(f"pre_shared_key: {len(identities)} identities, {len(binders)} binders")
    return OfferedPsks(identities, binders, binders_length)


def pack_offered_psks(offer: OfferedPsks) -> bytes:
    """pre_shared_key in a ClientHello (section 4.2.11)."""
    identities, binders = Writer(), Writer()
    for psk in offer.identities:
        identities.vector(2, psk.identity)
        identities.uint(4, psk.obfuscated_age)
    for binder in offer.binders:
        binders.vector(1, binder)
    return pack_block(identities.getvalue()) + pack_block(binders.getvalue())


def parse_single_alpn(body: bytes) -> bytes:
    """ALPN in an EncryptedExtensions holds exactly one name (RFC 7301 section 3.1)."""
    names = parse_alpn(body)
    if len(names) != 1:
        raise DecodeError(f"application_layer_protocol_negotiation: {len(names)} names, the answer holds one")
    return names[0]
