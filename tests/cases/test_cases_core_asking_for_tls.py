"""Who asks for TLS is told at the call if it can't be had, on every engine, and speaks plain text no more."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from mungos import CloseKind, Connection, Listener, Manager, http, websocket
from mungos.core import Phase
from mungos.errors import Closed, Misuse
from mungos.tls import ClientConfig, Credential, ServerConfig
from mungos.tls.engines import all_engines, select
from mungos.wires import Address, MemoryStream
from tests.cases.oracles import ended, no_residue
from tests.cases.world import Notes, RawPeer, World

AUTHORITY = trustme.CA()
ROOTS = AUTHORITY.cert_pem.bytes()
LEAF, OTHER = (AUTHORITY.issue_cert("localhost") for _ in range(2))
CHAIN = b"".join(blob.bytes() for blob in LEAF.cert_chain_pems)
KEY = LEAF.private_key_pem.bytes()
GOOD = Credential(CHAIN, KEY)
_LOADED = serialization.load_pem_private_key(KEY, None)
_ENCRYPTION = serialization.BestAvailableEncryption(b"a password")


def encrypted(form: serialization.PrivateFormat) -> bytes:
    return _LOADED.private_bytes(serialization.Encoding.PEM, form, _ENCRYPTION)


WRONG_CREDENTIALS = {
    "another's key": lambda: Credential(CHAIN, OTHER.private_key_pem.bytes()),
    "an encrypted key": lambda: Credential(CHAIN, encrypted(serialization.PrivateFormat.PKCS8)),
    "an encrypted key of old": lambda: Credential(
        CHAIN, encrypted(serialization.PrivateFormat.TraditionalOpenSSL)
    ),
    "each in the other's place": lambda: Credential(KEY, CHAIN),
    "both in the chain's place": lambda: Credential(CHAIN + KEY, b""),
    "both in the key's place": lambda: Credential(b"", CHAIN + KEY),
    "the chain twice": lambda: Credential(CHAIN, CHAIN),
    "the key twice": lambda: Credential(KEY, KEY),
    "nothing": lambda: Credential(b"", b""),
    "no PEM": lambda: Credential(b"ca.pem", b"ca.key"),
    "the issuer's first": lambda: Credential(ROOTS + CHAIN, KEY),
}
OPTIONS = {
    "a group that is none": {"groups": ("x25518",)},
    "a suite that is none": {"suites": ("TLS_NULL_WITH_NULL_NULL",)},
    "a version that is none": {"minimum_version": "TLSv1.1"},
    "a provider that is none": {"provider": "openssl-4"},
    "a protocol's name of 256": {"alpn": ("x" * 256,)},
}
SERVERS: dict[str, Callable[[], ServerConfig]] = {
    **{
        name: lambda make=make: ServerConfig((make(),))  # type: ignore[misc]
        for name, make in WRONG_CREDENTIALS.items()
    },
    "the second's key is another's": lambda: ServerConfig(
        (GOOD, Credential(CHAIN, OTHER.private_key_pem.bytes()))
    ),
    "no credential": lambda: ServerConfig(()),
    "client_auth=True": lambda: ServerConfig((GOOD,), client_roots=ROOTS, client_auth=True),  # type: ignore[arg-type]
    "client_auth without roots": lambda: ServerConfig((GOOD,), client_auth="required"),
    "client_roots that are a path": lambda: ServerConfig(
        (GOOD,), client_roots=b"ca.pem", client_auth="required"
    ),
    **{
        name: lambda more=more: ServerConfig((GOOD,), **more)  # type: ignore[misc]
        for name, more in OPTIONS.items()
    },
}
CLIENTS: dict[str, Callable[[], ClientConfig]] = {
    **{
        name: lambda make=make: ClientConfig(roots=ROOTS, credential=make())  # type: ignore[misc]
        for name, make in WRONG_CREDENTIALS.items()
    },
    "roots that are a path": lambda: ClientConfig(roots=b"ca.pem"),
    "no roots in the PEM": lambda: ClientConfig(roots=KEY),
    **{
        name: lambda more=more: ClientConfig(roots=ROOTS, **more)  # type: ignore[misc]
        for name, more in OPTIONS.items()
    },
}


def connected(world: World) -> tuple[object, RawPeer]:
    """A stream to be adopted, and its peer."""
    if world.wire == "memory":
        one, other = (
            MemoryStream(
                world.network, None, Address("127.0.0.1", 1 + at, 4), Address("127.0.0.1", 2 - at, 4)
            )
            for at in range(2)
        )
        MemoryStream.join(one, other)
        peer = RawPeer(other)
    else:
        ours, theirs = socket.socketpair()
        one, peer = ours, RawPeer(theirs)  # type: ignore[assignment]
    world.peers.append(peer)
    return one, peer


def server_calls(world: World, manager: Manager, engine: str) -> dict[str, Callable[[ServerConfig], object]]:
    """Each way to be a server over TLS."""
    notes = Notes()
    return {
        "listen": lambda tls: manager.listen("tls://127.0.0.1:0", notes, tls=tls, engine=engine),
        "http": lambda tls: http.listen(manager, "https://127.0.0.1:0", notes, tls=tls, engine=engine),
        "websocket": lambda tls: websocket.listen(
            manager, "wss://127.0.0.1:0", notes, tls=tls, engine=engine
        ),
        "adopt": lambda tls: manager.adopt(connected(world)[0], notes, tls=tls, engine=engine),
    }


def client_calls(world: World, manager: Manager, engine: str) -> dict[str, Callable[[ClientConfig], object]]:
    """Each way to be a client over TLS."""
    notes = Notes()
    name = "localhost"
    return {
        "connect": lambda tls: manager.connect("tls://localhost:1", notes, tls=tls, engine=engine),
        "http": lambda tls: http.connect(manager, "https://localhost:1", notes, tls=tls, engine=engine),
        "websocket": lambda tls: websocket.connect(
            manager, "wss://localhost:1", notes, tls=tls, engine=engine
        ),
        "adopt": lambda tls: manager.adopt(
            connected(world)[0], notes, tls=tls, server_name=name, engine=engine
        ),
    }


@pytest.fixture(params=["builtin", "openssl", "wolfssl", "mbedtls"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that is here."""
    found = {each.name: each for each in all_engines()}[request.param]
    if not found.present:
        pytest.skip(f"{found.name}: {found.reason}")
    return found.name


@pytest.fixture
def memory(time_factor: float) -> Iterator[World]:
    """One wire is enough where no byte moves."""
    made = World("memory", time_factor)
    yield made
    made.close()


@pytest.mark.parametrize("why", SERVERS)
def test_a_server_s_configuration_that_can_t_work_is_refused_at_the_call(
    memory: World, engine: str, why: str
) -> None:
    manager = memory.manager()
    for call in server_calls(memory, manager, engine).values():
        with pytest.raises(Misuse):
            call(SERVERS[why]())
    assert not manager.listeners
    assert not manager.connections
    assert not list(manager.ledger)


@pytest.mark.parametrize("why", CLIENTS)
def test_a_client_s_configuration_that_can_t_work_is_refused_at_the_call(
    memory: World, engine: str, why: str
) -> None:
    manager = memory.manager()
    for call in client_calls(memory, manager, engine).values():
        with pytest.raises(Misuse):
            call(CLIENTS[why]())
    assert not manager.connections
    assert not list(manager.ledger)


@pytest.mark.parametrize("name", ["nonesuch", "OpenSSL", "", 3, None, b"openssl"])
def test_an_engine_that_is_none_is_refused_at_the_call(memory: World, name: object) -> None:
    manager = memory.manager()
    for call in server_calls(memory, manager, name).values():  # type: ignore[arg-type]
        with pytest.raises(Misuse):
            call(ServerConfig((GOOD,)))
    for ask in client_calls(memory, manager, name).values():  # type: ignore[arg-type]
        with pytest.raises(Misuse):
            ask(ClientConfig(roots=ROOTS))
    assert not list(manager.ledger)


def test_a_name_that_can_t_be_verified_is_refused_at_the_call(memory: World, engine: str) -> None:
    manager = memory.manager()
    config = ClientConfig(roots=ROOTS)
    with pytest.raises(Misuse):
        manager.connect("unix:///run/nowhere", Notes(), tls=config, engine=engine)
    with pytest.raises(Misuse):
        manager.adopt(connected(memory)[0], Notes(), tls=config, engine=engine)
    with pytest.raises(Misuse):
        manager.connect("tls://localhost:1", Notes(), tls=config, server_name="a b", engine=engine)
    assert not list(manager.ledger)


def after_our_end(connection: Connection, engine: str) -> None:
    connection.end()
    connection.start_tls(ServerConfig((GOOD,)), engine=engine)


WAYS_TO_FAIL: dict[str, Callable[[Connection, str], None]] = {
    "a key of another": lambda connection, engine: connection.start_tls(
        SERVERS["another's key"](), engine=engine
    ),
    "roots that are none": lambda connection, engine: connection.start_tls(
        ClientConfig(roots=b"ca.pem"), server_name="localhost", engine=engine
    ),
    "no configuration": lambda connection, engine: connection.start_tls(None, engine=engine),  # type: ignore[arg-type]
    "a credential": lambda connection, engine: connection.start_tls(GOOD, engine=engine),  # type: ignore[arg-type]
    "no name": lambda connection, engine: connection.start_tls(ClientConfig(roots=ROOTS), engine=engine),
    "a name of bytes": lambda connection, engine: connection.start_tls(
        ClientConfig(roots=ROOTS),
        server_name=b"localhost",  # type: ignore[arg-type]
        engine=engine,
    ),
    "no such engine": lambda connection, _: connection.start_tls(ServerConfig((GOOD,)), engine="nonesuch"),
    "after our end": after_our_end,
}


@pytest.mark.parametrize("why", WAYS_TO_FAIL)
def test_start_tls_that_raises_ends_the_connection(world: World, engine: str, why: str) -> None:
    notes = Notes()
    stream, peer = connected(world)
    connection = world.manager().adopt(stream, notes)
    world.run(lambda: bool(notes.of("Opened")))
    connection.send(b"220 ready\r\n")
    world.run(lambda: peer.received == b"220 ready\r\n")
    with pytest.raises(Misuse):
        WAYS_TO_FAIL[why](connection, engine)
    with pytest.raises(Closed):
        connection.send(b"in the clear")
    peer.send(b"in the clear, too")
    reason = ended(world, notes, CloseKind.BROKEN)
    assert isinstance(reason.error, Misuse)
    world.run(lambda: peer.reset or peer.ended)
    assert peer.received == b"220 ready\r\n"
    assert not notes.data
    no_residue(connection.manager)


def test_start_tls_that_raises_in_a_handler_ends_the_connection(world: World, engine: str) -> None:
    def careless(connection: Connection, _: object) -> None:
        try:
            connection.start_tls(ServerConfig(()), engine=engine)
        except Misuse:
            connection.send(b"in the clear")

    notes = Notes(Received=careless)
    stream, peer = connected(world)
    world.manager().adopt(stream, notes)
    world.run(lambda: bool(notes.of("Opened")))
    peer.send(b"STARTTLS\r\n")
    world.run(lambda: notes.closed)
    peer.send(b"more")
    world.run(lambda: peer.reset or peer.ended)
    assert not peer.received
    assert notes.data == b"STARTTLS\r\n"


def test_start_tls_before_the_connection_is_open_ends_it(world: World) -> None:
    notes = Notes()
    bare = world.listener()
    connection = world.manager().connect(bare.url, notes)
    assert isinstance(connection, Connection)
    connection.send(b"in the clear")
    with pytest.raises(Misuse, match="must be open"):
        connection.start_tls(ServerConfig((GOOD,)))
    reason = ended(world, notes, CloseKind.BROKEN)
    assert reason.unsent == len(b"in the clear")


def test_start_tls_on_a_session_ends_it(world: World) -> None:
    def serve(session: http.ServerConnection, event: object) -> None:
        if isinstance(event, http.Request):
            with pytest.raises(Misuse, match="without a protocol"):
                session.connection.start_tls(ServerConfig((GOOD,)))
            with pytest.raises(Closed):
                session.respond(200, b"in the clear")

    listener = http.listen(world.manager(), "http://127.0.0.1:0", serve)
    peer = world.connect(f"tcp://127.0.0.1:{listener.url.port}")
    peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    world.run(lambda: peer.reset or peer.ended)
    assert not peer.received


def test_a_second_start_tls_leaves_the_first_as_it_is(world: World, engine: str) -> None:
    notes = Notes()
    stream, peer = connected(world)
    connection = world.manager().adopt(stream, notes, tls=ServerConfig((GOOD,)), engine=engine)
    world.run(lambda: connection.phase is Phase.SECURING)
    for config in (ServerConfig((GOOD,)), None):
        with pytest.raises(Misuse, match="secured already"):
            connection.start_tls(config, engine=engine)  # type: ignore[arg-type]
    assert connection.phase is Phase.SECURING
    connection.abort()
    world.run(lambda: notes.closed)
    assert not peer.received


def test_adopt_that_raises_leaves_the_socket_to_the_caller(world: World, engine: str) -> None:
    stream, peer = connected(world)
    with pytest.raises(Misuse):
        world.manager().adopt(stream, Notes(), tls=SERVERS["another's key"](), engine=engine)
    assert isinstance(stream, socket.socket | MemoryStream)
    stream.send(b"mine")
    world.run(lambda: peer.received == b"mine")
    stream.close()


def test_listen_that_raises_leaves_the_address_free(world: World, engine: str) -> None:
    manager = world.manager()
    probe = manager.listen("tcp://127.0.0.1:0", Notes())
    assert isinstance(probe, Listener)
    probe.close()
    url = f"tls://127.0.0.1:{probe.url.port}"
    with pytest.raises(Misuse):
        manager.listen(url, Notes(), tls=ServerConfig(()), engine=engine)
    again = manager.listen(url, Notes(), tls=ServerConfig((GOOD,)), engine=engine)
    assert isinstance(again, Listener)


class Counting:
    """An engine's factory that counts what is asked of it."""

    def __init__(self, name: str) -> None:
        self.inner = select(name)
        self.name = self.inner.name
        self.made = 0

    def client(self, config: ClientConfig, server_name: str | None) -> object:
        self.made += 1
        return self.inner.client(config, server_name)


def test_connect_and_adopt_make_one_session_and_no_second(
    memory: World, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(engine)
    monkeypatch.setattr("mungos.core.securing.select", lambda *_: counting)
    manager, config = memory.manager(), ClientConfig(roots=ROOTS)
    bare = memory.listener()
    made = manager.connect(bare.url.replace("tcp", "tls"), Notes(), tls=config, server_name="localhost")
    peer = memory.accept(bare)
    memory.run(lambda: bool(peer.received))
    assert counting.made == 1
    manager.adopt(connected(memory)[0], Notes(), tls=config, server_name="localhost")
    memory.run(lambda: bool(memory.peers[-1].received))
    assert counting.made == 2
    assert isinstance(made, Connection)
    assert manager.ledger.census()["engine"] == 2
    for connection in list(manager.connections.values()):
        connection.abort()
    memory.run(lambda: not manager.connections)
    assert manager.ledger.census()["engine"] == 0
