"""Why a WebSocket ends: the status codes, which may be on the wire, and which one each error deserves.

Policy for a Close frame's status code (RFC 6455 section 7.4, and the IANA registry that it created): 1000 to
1003, 1007 to 1014 and 3000 to 4999 are good in both directions. 1004 is undefined; 1005, 1006 and 1015 are
for local use and never sent; 1016 to 2999 are reserved for extensions, of which none has any; below 1000 and
from 5000 upwards there are none. A peer that sends one of these is failed with 1002.
"""

from __future__ import annotations

from enum import IntEnum

from mungos.checking import count, instance
from mungos.errors import Malformed, Misuse, PeerIncompatible, PeerMisbehaved, ProtocolError, TimedOut
from mungos.websocket.frames import MAX_CONTROL_PAYLOAD

__all__ = [
    "CloseCode",
    "FloodRefused",
    "InvalidText",
    "MessageTooBig",
    "SlowMessage",
    "close_code",
    "encode_close",
    "may_be_sent",
    "parse_close",
]


class CloseCode(IntEnum):
    """Status codes by name (RFC 6455 section 7.4.1 and the IANA registry)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005  # local: the Close frame was empty
    ABNORMAL = 1006  # local: the stream ended without a Close frame
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_FAILED = 1015  # local: TLS failed below


class InvalidText(Malformed):
    """Text, or the reason of a Close, is not UTF-8 (RFC 6455 section 8.1)."""


class MessageTooBig(PeerMisbehaved):
    """A message is longer than this side's limit (RFC 6455 section 10.4)."""


class FloodRefused(PeerMisbehaved):
    """Legal frames in a number that only serves to cost work."""


class SlowMessage(TimedOut):
    """A message that was begun does not go on at the least rate."""


_CODES: dict[type[BaseException], CloseCode] = {
    InvalidText: CloseCode.INVALID_PAYLOAD,
    MessageTooBig: CloseCode.MESSAGE_TOO_BIG,
    FloodRefused: CloseCode.POLICY_VIOLATION,
    SlowMessage: CloseCode.POLICY_VIOLATION,
    PeerIncompatible: CloseCode.UNSUPPORTED_DATA,
    ProtocolError: CloseCode.PROTOCOL_ERROR,
    TimedOut: CloseCode.INTERNAL_ERROR,
    BaseException: CloseCode.INTERNAL_ERROR,
}


def close_code(error: BaseException) -> CloseCode:
    """The status code that an error deserves. Total: what is nobody's known fault is 1011."""
    for kind in type(error).__mro__:
        if kind in _CODES:
            return _CODES[kind]
    return CloseCode.INTERNAL_ERROR


def may_be_sent(code: int) -> bool:
    """Whether a status code may stand in a Close frame; the policy is at the top of this file."""
    return 3000 <= code <= 4999 or 1000 <= code <= 1003 or 1007 <= code <= 1014


def parse_close(payload: bytes) -> tuple[int, str]:
    """Read the body of a Close frame.

    Returns:
        Code and reason; 1005 and "" when the body is empty (RFC 6455 section 7.1.5).

    Raises:
        Malformed: the body is one byte long.
        PeerMisbehaved: the code may not be on the wire.
        InvalidText: the reason is not UTF-8.

    Source: RFC 6455 sections 5.5.1 and 7.4.
    """
    if not payload:
        return CloseCode.NO_STATUS, ""
    if len(payload) == 1:
        raise Malformed("the body of a Close frame is 1 byte long, a status code takes 2")
    code = int.from_bytes(payload[:2], "big")
    if not may_be_sent(code):
        raise PeerMisbehaved(f"status code {code} may not be sent in a Close frame (RFC 6455 section 7.4)")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError as error:
        raise InvalidText(
            f"the reason of a Close frame is not UTF-8: {error.reason} at byte {error.start}"
        ) from None


def encode_close(code: int | None, reason: str) -> bytes:
    """Write the body of a Close frame.

    Args:
        code: the status code, or None for an empty body.
        reason: text of up to 123 bytes in UTF-8.

    Raises:
        Misuse: a code that may not be sent, a reason that is too long or not encodable, a reason without a
            code.

    Source: RFC 6455 section 5.5.1.
    """
    if code is None:
        if reason:
            raise Misuse("a reason needs a status code before it")
        return b""
    count("code", code)
    instance("reason", reason, str, write="a str")
    if not may_be_sent(code):
        raise Misuse(f"status code {code} may not be sent: 1000 to 1003, 1007 to 1014 and 3000 to 4999 may")
    try:
        body = code.to_bytes(2, "big") + reason.encode()
    except UnicodeEncodeError as error:
        raise Misuse(
            f"the reason can't be written in UTF-8: {error.reason} at character {error.start}"
        ) from None
    if len(body) > MAX_CONTROL_PAYLOAD:
        raise Misuse(f"the reason takes {len(body) - 2} bytes, the limit is {MAX_CONTROL_PAYLOAD - 2} bytes")
    return body
