"""Files over HTTP: conditional, in ranges, in bounded pieces, and never from outside a root directory."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final
from urllib.parse import quote

from mungos.errors import Broken, Misuse
from mungos.http.conditions import if_range_holds, precondition_status
from mungos.http.dates import format_date
from mungos.http.errors import HTTPError
from mungos.http.events import Request
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

    def pump(self, session: ServerSession) -> bool:
        """Send until the session's queue is full or the file is through.

        Returns:
            Whether it is through; False: call again when the connection is writable.

        Raises:
            Broken: the file has become shorter than it was announced, so the response can't be completed.
        """
        try:
            while self.left and not self.closed:
                piece = os.read(self._descriptor, min(_PIECE, self.left))
                if not piece:
                    raise Broken(f"a file became {self.left} bytes shorter while it was sent")
                self.left -= len(piece)
                if not session.send_body(piece) and self.left:
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

    A symbolic link is followed where it stays below the root. Whoever may write below the root while requests
    are answered could exchange a directory between its check and its use: such a root needs a server of its own.
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
            Misuse: `root` is no directory.
        """
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
            wall_time: seconds since 1970.
        """
        if isinstance(event, Request):
            self._answer(session, event, wall_time)

    def pump(self, session: ServerSession) -> None:
        """Go on sending; to be called when the connection is writable again. Harmless when nothing is sent.

        Raises:
            Broken: the file has become shorter than announced: the connection is to be aborted.
        """
        stream = session.stream
        if isinstance(stream, FileStream):
            if not stream.pump(session):
                return
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
        if not self._hidden and any(name[:1] == "." and name != ".well-known" for name in components):
            _refuse(session, 404)
            return
        try:
            self._send(session, request, components, wall_time)
        except OSError as error:
            if error.errno in _FORBIDDEN:
                _refuse(session, 403)
            elif error.errno in _BUSY:
                _refuse(session, 503)
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
        headers = [("X-Content-Type-Options", "nosniff")]
        if self._cache_control is not None:
            headers.append(("Cache-Control", self._cache_control))
        media = media_type(path)
        descriptor, facts = _open(path)
        try:
            if self._precompressed and (packed := self._open_packed(path, facts)) is not None:
                headers.append(("Vary", "Accept-Encoding"))
                accepted = "range" not in request.headers and accepts_gzip(
                    request.headers.get("accept-encoding", "") or ""
                )
                unused = packed[0]
                if accepted:
                    headers.append(("Content-Encoding", "gzip"))
                    unused, (descriptor, facts) = descriptor, packed
                os.close(unused)
            headers.append(("Content-Type", media))
            self._send_open(session, request, descriptor, facts, headers, wall_time)
        except BaseException:
            stream = session.stream
            if not isinstance(stream, FileStream):
                os.close(descriptor)
            raise

    def _resolve(self, path: str) -> str:
        """The path without links; FileNotFoundError where it leads out of the root."""
        real = os.path.realpath(path, strict=True)
        if real != self.root and not real.startswith(self.root.rstrip("/") + "/"):
            raise FileNotFoundError(errno.ENOENT, "outside the root")
        return real
