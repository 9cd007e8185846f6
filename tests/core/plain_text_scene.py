"""One of our ends asks for TLS, by an engine that fails, and a bare peer speaks plain text to it."""

from __future__ import annotations

import logging
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from mungos import Connection, Listener, Manager, http, websocket
from mungos.core import Phase
from mungos.testing.tls.seats import seated
from mungos.testing.tls.world import RawListener, RawPeer, WireName
from mungos.tls import ClientConfig, Credential, ServerConfig, contract
from mungos.tls.engines import select
from mungos.wires import Address, MemoryNetwork, MemoryStream
from mungos.wires.memory import MemoryWire
from tests.core.failing_engine import FailingFactory, Fault

__all__ = ["FACES", "MARK", "PLAIN", "WAYS", "Papers", "Scene"]

MARK = b"in-the-clear"
PLAIN = b"GET /in-the-clear HTTP/1.1\r\nHost: x\r\nX: in-the-clear\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nin-the-clear"
_QUIET = {"Opened", "Writable", "Ended", "Closed"}


class Papers:
    """An authority, and the configurations of both ends, shared by all scenes."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        leaf = self.authority.issue_cert("localhost")
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        self.credential = Credential(chain, leaf.private_key_pem.bytes())
        self.server = ServerConfig((self.credential,))
        self.client = ClientConfig(roots=self.authority.cert_pem.bytes())


class Scene:
    """It is set, the fault is armed, something is asked, and then everything must be over.

    Attributes:
        manager: ours.
        peer: the other end; None until there is one.
        events: what our handler was told.
        raised: what the call by which we asked for TLS has raised.
        sealed: whether a handshake was completed.
    """

    def __init__(self, wire: WireName, papers: Papers, fault: Fault) -> None:
        self.wire = wire
        self.papers = papers
        self.fault = fault
        self.network = MemoryNetwork()
        self.manager = Manager(self.network.wire() if wire == "memory" else None)
        self.peer: RawPeer | None = None
        self.events: list[object] = []
        self.raised: BaseException | None = None
        self.listener: Listener | None = None
        self.sealed = False
        self.began = 0  # of what the peer has received, where nothing in the clear may follow
        self._raw = MemoryWire(self.network)
        self._bare: RawListener | None = None
        self._handed: socket.socket | MemoryStream | None = None
        self._folder = tempfile.TemporaryDirectory() if wire == "kernel" else None
        self._path = str(Path(self._folder.name, "s")) if self._folder is not None else "/s"

    def handler(self, face: object, event: object) -> None:
        """Says what must not be seen as soon as it is told that it may."""
        self.events.append(event)
        kind = type(event).__name__
        if isinstance(face, Connection) and kind in {"Opened", "Received"}:
            with suppress(Exception):
                face.send(MARK)
        elif isinstance(face, http.ClientConnection) and kind == "Opened":
            face.request("GET", "/in-the-clear")
        elif isinstance(face, http.ServerConnection) and kind == "Request":
            face.respond(200, MARK)

    @property
    def connection(self) -> Connection | None:
        """Ours, while it lives."""
        for found in self.manager.connections.values():
            if isinstance(found, Connection):
                return found
        return None

    # The ends.

    def dial(self) -> None:
        """The peer comes to our listener."""
        assert self.listener is not None
        at = self.listener.address
        if self.wire == "memory":
            self.peer = RawPeer(self._raw.connect(at))
            return
        sock = socket.socket(socket.AF_INET if at.family else socket.AF_UNIX)
        sock.connect((at.host, at.port) if at.family else at.host)
        self.peer = RawPeer(sock)

    def door(self, *, unix: bool = False) -> str:
        """A bare listener for our connection; returns its address, without a scheme."""
        if self.wire == "memory":
            at = Address(self._path, 0, 0) if unix else Address("127.0.0.1", 0, 4)
            self._bare = RawListener(self._raw.listen(at, 4, False))
        else:
            sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
            sock.bind(self._path if unix else ("127.0.0.1", 0))
            sock.listen(4)
            sock.setblocking(False)
            if not unix:
                self._bare = RawListener(sock)
            else:
                self._bare = RawListener.__new__(RawListener)
                self._bare.listener, self._bare.port = sock, 0
        return f"//{self._path}" if unix else f"//localhost:{self._bare.port}"

    def hand(self) -> socket.socket | MemoryStream:
        """A connected stream to be adopted."""
        if self.wire == "memory":
            ends = [
                MemoryStream(
                    self.network, None, Address("127.0.0.1", 1 + at, 4), Address("127.0.0.1", 2 - at, 4)
                )
                for at in range(2)
            ]
            MemoryStream.join(*ends)
            self.peer, self._handed = RawPeer(ends[1]), ends[0]
        else:
            ours, theirs = socket.socketpair()
            self.peer, self._handed = RawPeer(theirs), ours
        return self._handed

    def ask(self, call: Callable[[], object]) -> None:
        """Do what asks for TLS; what it raises is noted, and what is sent after it is not to be seen."""
        self.fault.armed = True
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - whatever is planted
            self.raised = error
        if self.connection is not None and type(self.connection.protocol).__name__ == "PlainProtocol":
            with suppress(Exception):
                self.connection.send(MARK)

    # Time.

    def settle(self) -> None:
        """Turn until nothing moves without time passing."""
        end = time.monotonic() + 5.0
        for _ in range(400):
            self.manager.poll(0)
            moved = self.manager.busy
            if self._bare is not None and self.peer is None:
                self.peer = self._bare.accept()
                moved = moved or self.peer is not None
            if self.peer is not None:
                moved = self.peer.pump() or moved
            if self.wire == "memory":
                moved = moved or bool(self.manager.wire.ready())  # type: ignore[attr-defined]
            elif not moved and self.manager.connections:
                self.manager.poll(0.02)
                moved = self.peer is not None and self.peer.pump()
            if not moved:
                return
            assert time.monotonic() < end, "it moves for ever"
        raise AssertionError("it spins")

    def pass_time(self) -> None:
        """Until our connection has ended: its deadlines see to that."""
        for _ in range(40):
            self.settle()
            if not self.manager.connections:
                return
            wait = self.manager.wait_time(1.0)  # nothing is to be waited for without a deadline
            if self.wire == "memory":
                self.network.clock.advance(wait or 0.0)
            else:
                self.manager.poll(wait)

    # What the peer does.

    def say(self, data: bytes) -> None:
        """Plain text, in whatever state the other end is."""
        if self.peer is not None:
            self.peer.send(data)

    def shake_hands(self, *, server: bool) -> None:
        """The peer speaks TLS, with a sound engine, until ours is open."""
        factory = select("openssl")
        papers = self.papers
        engine = factory.server(papers.server) if server else factory.client(papers.client, "localhost")
        engine.start(0.0)
        read = self.began
        for _ in range(20):
            for part in engine.take(1 << 20):
                self.say(bytes(part))
            self.settle()
            assert self.peer is not None
            received = bytes(self.peer.received)
            if len(received) > read:
                engine.receive(received[read:], 0.0)
                read = len(received)
            while (event := engine.next_event()) is not None:
                if isinstance(event, contract.Established):
                    self.sealed = True
            connection = self.connection
            if self.sealed and connection is not None and connection.phase is Phase.OPEN:
                break
        for part in engine.take(1 << 20):
            self.say(bytes(part))
        self.settle()
        engine.release()
        self.sealed = True

    # The verdict.

    def verdict(self) -> list[str]:
        """What is wrong; nothing, where it failed closed."""
        wrong = []
        if self.manager.connections:
            wrong.append(f"still there: {list(self.manager.connections.values())!r}")
        if self.peer is not None and MARK in self.peer.received[self.began :]:
            wrong.append(f"the peer got {bytes(self.peer.received[self.began :])[:60]!r}")
        allowed = _QUIET if self.sealed else _QUIET - {"Opened"}
        for event in self.events:
            if type(event).__name__ not in allowed:
                wrong.append(f"the handler got {event!r}"[:90])
        if sum(type(event).__name__ == "Closed" for event in self.events) > 1:
            wrong.append("Closed twice")
        if self.listener is not None and self.listener.phase is not Phase.LISTENING:
            wrong.append("the listener has ended")
        if self.raised is None and self.peer is not None:
            self.peer.pump()
            if not (self.peer.ended or self.peer.reset):
                wrong.append("the peer sees no end")
        self.fault.armed = False
        if self.raised is not None and self._handed is not None:
            self._handed.close()  # nobody took it
        try:
            report = self.manager.close(1.0)
        except Exception as error:  # noqa: BLE001 - what it is does not matter
            wrong.append(f"the manager can't be closed: {error!r}")
        else:
            if not report.ok:
                wrong.append(str(report))
        if self.peer is not None:
            self.peer.close()
        if self._bare is not None:
            self._bare.close()
        if self._folder is not None:
            self._folder.cleanup()
        return wrong


# The ways into TLS: each ends with our end asking for it.


def _listening(url: str) -> Callable[[Scene], None]:
    def way(scene: Scene) -> None:
        where = url.replace("PATH", scene._path)
        scene.ask(lambda: _listen(scene, where))
        if scene.raised is None:
            scene.dial()

    return way


def _listen(scene: Scene, url: str) -> None:
    manager, handler, tls = scene.manager, scene.handler, scene.papers.server
    if url.startswith("https"):
        scene.listener = http.listen(manager, url, handler, tls=tls, engine="openssl")
    elif url.startswith("wss"):
        scene.listener = websocket.listen(manager, url, handler, tls=tls, engine="openssl")
    else:
        made = manager.listen(url, handler, tls=tls, engine="openssl")
        assert isinstance(made, Listener)
        scene.listener = made


def _connecting(scheme: str) -> Callable[[Scene], None]:
    def way(scene: Scene) -> None:
        url = f"{scheme}:{scene.door(unix=scheme == 'unix')}"
        scene.ask(lambda: _connect(scene, url))

    return way


def _connect(scene: Scene, url: str) -> None:
    manager, handler, tls = scene.manager, scene.handler, scene.papers.client
    if url.startswith("https"):
        http.connect(manager, url, handler, tls=tls, engine="openssl")
    elif url.startswith("wss"):
        websocket.connect(manager, url, handler, tls=tls, engine="openssl")
    else:
        manager.connect(url, handler, tls=tls, server_name="localhost", engine="openssl")


def _adopting(*, server: bool) -> Callable[[Scene], None]:
    def way(scene: Scene) -> None:
        handle = scene.hand()
        tls = scene.papers.server if server else scene.papers.client
        name = None if server else "localhost"
        scene.ask(
            lambda: scene.manager.adopt(handle, scene.handler, tls=tls, server_name=name, engine="openssl")
        )

    return way


def _starting(*, server: bool) -> Callable[[Scene], None]:
    def way(scene: Scene) -> None:
        connection = scene.manager.adopt(scene.hand(), scene.handler)
        scene.settle()
        assert scene.peer is not None
        assert MARK in scene.peer.received, "until then it is plain"
        scene.began = len(scene.peer.received)
        scene.events.clear()
        tls = scene.papers.server if server else scene.papers.client
        name = None if server else "localhost"
        scene.ask(lambda: connection.start_tls(tls, server_name=name, engine="openssl"))

    return way


WAYS: dict[str, Callable[[Scene], None]] = {
    "listen-tls": _listening("tls://127.0.0.1:0"),
    "listen-unix": _listening("unix://PATH"),
    "connect-tls": _connecting("tls"),
    "connect-unix": _connecting("unix"),
    "adopt-server": _adopting(server=True),
    "adopt-client": _adopting(server=False),
    "start-server": _starting(server=True),
    "start-client": _starting(server=False),
    "listen-https": _listening("https://127.0.0.1:0"),
    "listen-wss": _listening("wss://127.0.0.1:0"),
    "connect-https": _connecting("https"),
    "connect-wss": _connecting("wss"),
}
FACES = frozenset({"listen-https", "listen-wss", "connect-https", "connect-wss"})


def is_server(way: str) -> bool:
    """Which role our end plays."""
    return way.startswith("listen") or way.endswith("server")


def answer(way: str) -> bytes:
    """What the peer says in plain text."""
    return _ANSWER if way in {"connect-https", "connect-wss"} else PLAIN


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, engine: str, fault: Fault) -> Iterator[None]:
    """Whoever asks for an engine gets this one, with the fault in it; nothing of it is logged."""
    factory = select(engine)
    with seated(FailingFactory(factory, fault)) as name, monkeypatch.context() as patch:

        def chosen(_name: str = "auto", provider: str | None = None) -> contract.EngineFactory:
            fault.at("select")
            return select(name, provider)

        for module in ("securing", "manager"):
            patch.setattr(f"mungos.core.{module}.select", chosen, raising=False)
        logger = logging.getLogger("mungos")
        level = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            logger.setLevel(level)
