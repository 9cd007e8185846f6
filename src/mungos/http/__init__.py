"""HTTP/1.1, both sides, sans-I/O (RFC 9110, RFC 9112), and files over it."""

from mungos.http.attach import ClientConnection, ServerConnection, connect, listen
from mungos.http.client_session import ClientEvent, ClientSession, SendingSide, WaitingSide
from mungos.http.dates import format_date, parse_date
from mungos.http.errors import (
    RULES,
    ForbiddenMessage,
    HTTPError,
    IncompleteMessage,
    MalformedMessage,
    Rule,
    UnsupportedMessage,
    status_of,
)
from mungos.http.events import (
    Data,
    EndOfMessage,
    InformationalResponse,
    Request,
    Response,
)
from mungos.http.files import FileServer, FileStream
from mungos.http.headers import FieldLines, Headers
from mungos.http.heads import parse_head, parse_status_head
from mungos.http.limits import CLIENT_LIMITS, SERVER_LIMITS, HTTPLimits
from mungos.http.media_types import media_type
from mungos.http.outgoing import Closable
from mungos.http.server_session import RequestSide, ResponseSide, ServerEvent, ServerSession
from mungos.http.targets import decode_path, path_components
from mungos.protocol import Failed

__all__ = [
    "CLIENT_LIMITS",
    "RULES",
    "SERVER_LIMITS",
    "ClientConnection",
    "ClientEvent",
    "ClientSession",
    "Closable",
    "Data",
    "EndOfMessage",
    "Failed",
    "FieldLines",
    "FileServer",
    "FileStream",
    "ForbiddenMessage",
    "HTTPError",
    "HTTPLimits",
    "Headers",
    "IncompleteMessage",
    "InformationalResponse",
    "MalformedMessage",
    "Request",
    "RequestSide",
    "Response",
    "ResponseSide",
    "Rule",
    "SendingSide",
    "ServerConnection",
    "ServerEvent",
    "ServerSession",
    "UnsupportedMessage",
    "WaitingSide",
    "connect",
    "decode_path",
    "format_date",
    "listen",
    "media_type",
    "parse_date",
    "parse_head",
    "parse_status_head",
    "path_components",
    "status_of",
]
