"""ClientHellos by hand, as large as they may be, and what an engine spends on one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from struct import pack
from types import FrameType

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mungos import tls

LARGE = 65_536
X25519 = 0x001D

SHARE = X25519PrivateKey.from_private_bytes(b"\1" * 32).public_key().public_bytes(
    Encoding.Raw, PublicFormat.Raw
)  # fmt: skip

Extension = tuple[int, bytes]


def listed(data: bytes) -> bytes:
    """Behind its length in two bytes."""
    return len(data).to_bytes(2, "big") + data


def numbers(values: Sequence[int]) -> bytes:
    return listed(pack(f"!{len(values)}H", *values))


VERSIONS = (43, b"\x02\x03\x04")
SCHEMES = (13, numbers([0x0403, 0x0804]))


def groups(*values: int) -> Extension:
    return 10, numbers(values)


def shares(*entries: tuple[int, bytes]) -> Extension:
    return 51, listed(b"".join(group.to_bytes(2, "big") + listed(share) for group, share in entries))


def alpn(*names: bytes) -> Extension:
    return 16, listed(b"".join(bytes((len(name),)) + name for name in names))


USUAL = (VERSIONS, SCHEMES, groups(X25519, 0x0017), shares((X25519, SHARE)))


def hello(*extensions: Extension, suites: bytes = b"\x13\x01") -> bytes:
    """A ClientHello of TLS 1.3, header included."""
    block = b"".join(code.to_bytes(2, "big") + listed(body) for code, body in extensions)
    body = b"\x03\x03" + bytes(32) + b"\0" + listed(suites) + b"\1\0" + listed(block)
    return b"\1" + len(body).to_bytes(3, "big") + body


def in_records(message: bytes, size: int = 16_384) -> bytes:
    """Handshake records of `size` bytes of content each."""
    return b"".join(b"\x16\x03\x01" + listed(message[at : at + size]) for at in range(0, len(message), size))


def feed(engine: tls.Engine, data: bytes) -> None:
    """All of it, events pulled in between."""
    while data:
        data = data[engine.receive(data, 0.0) :]
        while engine.next_event() is not None:
            pass


def calls(work: Callable[[], object]) -> int:
    """Functions called, Python's and the interpreter's own alike."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
