"""The rules of HTTP/1.1 that a peer can break, and the one total map from a rule to its status and blame."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from mungos.errors import Malformed, PeerIncompatible, PeerMisbehaved, ProtocolError, TimedOut

__all__ = [
    "RULES",
    "ForbiddenMessage",
    "HTTPError",
    "IncompleteMessage",
    "MalformedMessage",
    "Rule",
    "UnsupportedMessage",
    "status_of",
    "violation",
]


class Rule(Enum):
    """One name for each rule; RFC 9112 and RFC 9110 sections stand where they are checked."""

    REQUEST_LINE = auto()
    STATUS_LINE = auto()
    TARGET = auto()
    TARGET_TOO_LONG = auto()
    PATH = auto()
    VERSION = auto()
    LINE_END = auto()
    FIELD_LINE = auto()
    FIELD_FOLDED = auto()
    FIELD_TOO_LONG = auto()
    FIELDS_TOO_MANY = auto()
    HEAD_TOO_LONG = auto()
    HOST_MISSING = auto()
    HOST_REPEATED = auto()
    HOST_INVALID = auto()
    CONTENT_LENGTH = auto()
    LENGTH_WITH_CODING = auto()
    CODING_IN_HTTP_1_0 = auto()
    CODING_NOT_CHUNKED_LAST = auto()
    CODING_UNKNOWN = auto()
    CHUNK = auto()
    CHUNK_EXTENSIONS_TOO_LONG = auto()
    TRAILERS_TOO_LONG = auto()
    BODY_TOO_LONG = auto()
    EXPECTATION = auto()
    INCOMPLETE = auto()
    UNASKED_BYTES = auto()
    INFORMATIONAL_TOO_MANY = auto()
    UPGRADE_UNASKED = auto()


class HTTPError(ProtocolError):
    """A peer broke a rule of HTTP.

    Attributes:
        rule: which.
        status: the status code that a server answers with; a client sends none, a gateway may use it.
    """

    def __init__(self, rule: Rule, message: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.status = RULES[rule][0]


class MalformedMessage(HTTPError, Malformed):
    """The bytes are no HTTP/1.1 message."""


class IncompleteMessage(MalformedMessage):
    """The stream ended inside a message (RFC 9112 section 8)."""


class ForbiddenMessage(HTTPError, PeerMisbehaved):
    """A well formed message that the protocol, or a limit of this side, forbids."""


class UnsupportedMessage(HTTPError, PeerIncompatible):
    """A message that needs what this side doesn't speak."""


RULES: Mapping[Rule, tuple[int, type[HTTPError]]] = MappingProxyType(
    {
        Rule.REQUEST_LINE: (400, MalformedMessage),
        Rule.STATUS_LINE: (502, MalformedMessage),
        Rule.TARGET: (400, MalformedMessage),
        Rule.TARGET_TOO_LONG: (414, ForbiddenMessage),
        Rule.PATH: (400, ForbiddenMessage),
        Rule.VERSION: (505, UnsupportedMessage),
        Rule.LINE_END: (400, MalformedMessage),
        Rule.FIELD_LINE: (400, MalformedMessage),
        Rule.FIELD_FOLDED: (400, MalformedMessage),
        Rule.FIELD_TOO_LONG: (431, ForbiddenMessage),
        Rule.FIELDS_TOO_MANY: (431, ForbiddenMessage),
        Rule.HEAD_TOO_LONG: (431, ForbiddenMessage),
        Rule.HOST_MISSING: (400, ForbiddenMessage),
        Rule.HOST_REPEATED: (400, ForbiddenMessage),
        Rule.HOST_INVALID: (400, MalformedMessage),
        Rule.CONTENT_LENGTH: (400, MalformedMessage),
        Rule.LENGTH_WITH_CODING: (400, ForbiddenMessage),
        Rule.CODING_IN_HTTP_1_0: (400, ForbiddenMessage),
        Rule.CODING_NOT_CHUNKED_LAST: (400, ForbiddenMessage),
        Rule.CODING_UNKNOWN: (501, UnsupportedMessage),
        Rule.CHUNK: (400, MalformedMessage),
        Rule.CHUNK_EXTENSIONS_TOO_LONG: (400, ForbiddenMessage),
        Rule.TRAILERS_TOO_LONG: (431, ForbiddenMessage),
        Rule.BODY_TOO_LONG: (413, ForbiddenMessage),
        Rule.EXPECTATION: (417, UnsupportedMessage),
        Rule.INCOMPLETE: (400, IncompleteMessage),
        Rule.UNASKED_BYTES: (502, ForbiddenMessage),
        Rule.INFORMATIONAL_TOO_MANY: (502, ForbiddenMessage),
        Rule.UPGRADE_UNASKED: (502, ForbiddenMessage),
    }
)
"""Every rule, the status that answers it, and the kind of blame."""


def violation(rule: Rule, message: str) -> HTTPError:
    """The error of `rule`, of the kind that the map names.

    Args:
        rule: the rule that the peer broke.
        message: what was seen, which limit it broke, in which unit.
    """
    return RULES[rule][1](rule, message)


def status_of(error: ProtocolError | TimedOut) -> int:
    """The status code that a server owes for `error`: total, so there is always one."""
    if isinstance(error, HTTPError):
        return error.status
    return 408 if isinstance(error, TimedOut) else 400
