"""Files over HTTP: conditional, in ranges, in bounded pieces, and never from outside a root directory."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final
from urllib.parse import quote

from mungos import checking
from mungos.errors import Broken, Misuse
from mungos.http.conditions import if_range_holds, precondition_status
from mungos.http.dates import format_date
from mungos.http.errors import HTTPError
from mungos.http.events import Request
from mungos.http.headers import encode_fields
from mungos.http.media_types import media_type
from mungos.http.ranges import parse_range
from mungos.http.server_session import ServerSession
from mungos.http.statuses import reason_of
from mungos.http.targets import path_components

__all__ = ["FileServer", "FileStream", "accepts_gzip"]

_PIECE: Final = 64 * 1024  # bytes read at once; a larger buffer is mapped and unmapped at every read
_METHODS: Final = "GET, HEAD, OPTIONS"
# O_NONBLOCK: opening a FIFO without a writer would wait for one.
_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
_BUSY: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO})


class FileStream:
    """An open file on its way out. It stands in its session's `stream` until it is through or closed.

    Attributes:
        left: bytes that have not been read yet.
    """

    __slots__ = ("_descriptor", "left")

    def __init__(self, descriptor: int, left: int) -> None:
        """Take over an open descriptor, positioned at the first byte to send."""
        self._descriptor = descriptor
        self.left = left

    @property
    def closed(self) -> bool:
        """Whether the descriptor was given back."""
        return self._descriptor < 0

    def restrict(self, part: range) -> None:
        """Send only these bytes of the file."""
        os.lseek(self._descriptor, part.start, os.SEEK_SET)
        self.left = len(part)

    def read(self) -> bytes:
        """The next piece.

        Raises:
            Broken: the file has become shorter than it was announced, so the response can't be completed.
        """
        piece = os.read(self._descriptor, min(_PIECE, self.left))
        if not piece and self.left:
            raise Broken(f"a file became {self.left} bytes shorter while it was sent")
        self.left -= len(piece)
        return piece

    def read_all(self) -> bytes:
        """All that is left."""
        data = self.read()
        while self.left:
            data += self.read()
        return data

    def pump(self, session: ServerSession) -> bool:
        """Send until the session's queue is full or the file is through.

        Returns:
            Whether it is through; False: call again when the connection is writable.

        Raises:
            Broken: as `read`.
        """
        try:
            while self.left and not self.closed:
                if not session.send_body(self.read()) and self.left:
                    return False
        except BaseException:
            self.close()
            raise
        self.close()
        return True

    def close(self) -> None:
        """Close the file; idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class FileServer:
    """Answers GET and HEAD with files below a root directory.

    A symbolic link is followed where it stays below the root and leads to nothing hidden. Whoever may write
    below the root while requests are answered could exchange a directory between its check and its use: such
    a root needs its own server.

    A file of more than 64 KiB stays open until its reader has taken it. On a `ServerConnection` it counts
    among the manager's descriptors, and files are a third of them at most (`Limits.reserved_descriptors`); on
    another session its `room_for_stream` decides. Where no more may be held the answer is 503, and the
    connection is closed. So that connections which ask for nothing can't take them all, give the manager a
    `Limits.max_connections` of two thirds of RLIMIT_NOFILE less the reserve, as `mungos serve` does.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        index: str = "index.html",
        hidden: bool = False,
        precompressed: bool = True,
        cache_control: str | None = None,
    ) -> None:
        """Serve `root`.

        Args:
            root: an existing directory.
            index: the file that answers for a directory; nothing else does, there are no listings.
            hidden: whether names that begin with a dot are served; ".well-known" always is (RFC 8615).
            precompressed: whether "name.gz" is sent for "name" to clients that accept gzip.
            cache_control: the value of a Cache-Control field.

        Raises:
            Misuse: `root` is no directory, or another value can't be used.
        """
        checking.instance("root", root, (str, os.PathLike), write="the path of a directory")
        checking.text("index", index, write='a file\'s name: "index.html"')
        checking.flag("hidden", hidden)
        checking.flag("precompressed", precompressed)
        if "/" in index or "\0" in index or (index.startswith(".") and not hidden):
            raise checking.wrong("index", index, "the name of one file, which is not hidden")
        checking.text("cache_control", cache_control, write='a str, or None: "max-age=60"', none=True)
        if cache_control is not None:
            encode_fields((("Cache-Control", cache_control),))
        self.root = os.path.realpath(root)
        if not os.path.isdir(self.root):
            raise Misuse(f"not a directory: {os.fspath(root)!r}")
        self._index = index
        self._hidden = hidden
        self._precompressed = precompressed
        self._cache_control = cache_control

    def handle(self, session: ServerSession, event: object, wall_time: float) -> None:
        """React to an event of `session`: requests are answered, the rest needs nothing.

        Args:
            session: whose event it is; `session.stream` is used while a file is sent over several turns, and
                whoever drops the session closes it.
            event: as `session.next_event` gave it.
            wall_time: seconds since 1970: `connection.manager.wire.wall()`, of the session's connection.
        """
        if isinstance(event, Request):
            self._answer(session, event, wall_time)

    def pump(self, session: ServerSession) -> None:
        """Go on sending; to be called when the connection is writable again. Harmless when nothing is sent.

        Raises:
            Broken: the file has become shorter than announced: the connection is to be aborted.
        """
        stream = session.stream
        if not isinstance(stream, FileStream):
            return
        if session.ended:
            stream.close()
            session.stream = None
        elif stream.pump(session):
            session.stream = None
            session.end_response()

    def _answer(self, session: ServerSession, request: Request, wall_time: float) -> None:
        method = request.method
        if method == "OPTIONS":
            session.respond(204, headers=(("Allow", _METHODS),))
            return
        if method not in ("GET", "HEAD"):
            _refuse(session, 405, ("Allow", _METHODS))
            return
        try:
            components = path_components(request.path)
        except HTTPError as error:
            _refuse(session, error.status)
            return
        if not self._hidden and any(map(_is_hidden, components)):
            _refuse(session, 404)
            return
        try:
            self._send(session, request, components, wall_time)
        except OSError as error:
            if error.errno in _FORBIDDEN:
                _refuse(session, 403)
            elif error.errno in _BUSY:
                # Without the connection there are more descriptors, too.
                _refuse(session, 503, ("Connection", "close"))
            else:  # not there, not a directory, too long a name, too many links, ...
                _refuse(session, 404)

    def _send(
        self, session: ServerSession, request: Request, components: tuple[str, ...], wall_time: float
    ) -> None:
        path = self._resolve(os.path.join(self.root, *components))
        if os.path.isdir(path):
            if components[-1]:
                # Made of the components, so that "//host" in the target can't become a place elsewhere.
                place = "".join("/" + quote(component) for component in components) + "/"
                _refuse(session, 301, ("Location", place + ("?" + request.query if request.query else "")))
                return
            path = self._resolve(os.path.join(path, self._index))
        elif not components[-1]:
            _refuse(session, 404)
            return
        headers = [("Content-Type", media_type(path)), ("X-Content-Type-Options", "nosniff")]
        if self._precompressed and _is_plain_file(path + ".gz"):
            headers.append(("Vary", "Accept-Encoding"))
            # A range is of the file itself: whoever resumes a download began without a coding.
            if "range" not in request.headers and accepts_gzip(request.headers.get("accept-encoding")):
                headers.append(("Content-Encoding", "gzip"))
                path += ".gz"
        if self._cache_control is not None:
            headers.append(("Cache-Control", self._cache_control))
        file, facts = _open(path)
        try:
            _send_open(session, request, file, facts, headers, wall_time)
        finally:
            if session.stream is not file:
                file.close()

    def _resolve(self, path: str) -> str:
        """The path without links; FileNotFoundError where it leads out of the root."""
        real = os.path.realpath(path, strict=True)
        if real != self.root and not real.startswith(self.root.rstrip("/") + "/"):
            raise FileNotFoundError(errno.ENOENT, "outside the root")
        # A link is followed to what would be served under its own name.
        if not self._hidden and any(map(_is_hidden, real[len(self.root) :].split("/"))):
            raise FileNotFoundError(errno.ENOENT, "hidden")
        return real


def _is_hidden(name: str) -> bool:
    return name[:1] == "." and name != ".well-known"  # RFC 8615


def accepts_gzip(value: str | None) -> bool:
    """Whether an Accept-Encoding allows gzip (RFC 9110 section 12.5.3); without the field: False."""
    weights: dict[str, bool] = {}
    for member in (value or "").lower().split(","):
        coding, _, parameter = member.partition(";")
        name, _, weight = parameter.strip(" \t").partition("=")
        refused = name == "q" and not weight.strip("0.")
        weights[coding.strip(" \t")] = not refused
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))


def _is_plain_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _open(path: str) -> tuple[FileStream, os.stat_result]:
    """Open a regular file; FileNotFoundError for anything else."""
    descriptor = os.open(path, _OPEN)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a regular file")
    except BaseException:
        os.close(descriptor)
        raise
    return FileStream(descriptor, facts.st_size), facts


def _send_open(
    session: ServerSession,
    request: Request,
    file: FileStream,
    facts: os.stat_result,
    headers: list[tuple[str, str]],
    wall_time: float,
) -> None:
    size = facts.st_size
    etag = f'"{facts.st_mtime_ns:x}-{size:x}"'
    # RFC 9110 section 8.8.2.1: never later than the response.
    modified = max(0, min(int(facts.st_mtime), int(wall_time)))
    headers += (("ETag", etag), ("Last-Modified", format_date(modified)), ("Accept-Ranges", "bytes"))
    status = precondition_status(request.method, request.headers, etag, modified, wall_time)
    if status == 304:
        kept = ("cache-control", "etag", "last-modified", "vary")  # RFC 9110 section 15.4.5
        session.respond(304, headers=[field for field in headers if field[0].lower() in kept])
        return
    if status is not None:
        _refuse(session, status)
        return
    status = 200
    asked = request.headers.get("range")
    if asked is not None and request.method == "GET":
        part = parse_range(asked, size)
        if part is not None and if_range_holds(request.headers, etag, modified, wall_time):
            if not part:
                _refuse(session, 416, ("Content-Range", f"bytes */{size}"))
                return
            status = 206
            headers.append(("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}"))
            file.restrict(part)
    if request.method == "HEAD":
        session.start_response(status, headers, size)
        session.end_response()
    elif file.left <= _PIECE:
        session.respond(status, file.read_all(), headers)
    elif not session.room_for_stream:
        raise OSError(errno.EMFILE, "too many files are held open")
    else:
        session.start_response(status, headers, file.left)
        session.stream = file
        if file.pump(session):
            session.stream = None
            session.end_response()


def _refuse(session: ServerSession, status: int, *headers: tuple[str, str]) -> None:
    text = f"{status} {reason_of(status)}\n".encode("ascii")
    session.respond(status, text, headers, content_type="text/plain; charset=utf-8")
