"""A listener's TLS configuration is replaced: for those accepted from then on, and for nobody else."""

from __future__ import annotations

import threading

import pytest
import trustme

from mungos import Connection, Listener
from mungos.errors import Closed, Misuse
from mungos.tls import ClientConfig, Credential, ServerConfig
from tests.cases.oracles import no_residue
from tests.cases.world import Notes, World

URL = "tls://127.0.0.1:0"
ALPN = ("one", "two")


class Renewed:
    """An authority, two certificates by it, and a server that begins with the first."""

    def __init__(self, world: World, engine: str) -> None:
        authority = trustme.CA()
        self.first, self.second = (authority.issue_cert("localhost") for _ in range(2))
        self.client = ClientConfig(roots=authority.cert_pem.bytes(), alpn=ALPN)
        self.world = world
        self.engine = engine
        self.manager = world.manager()
        self.notes = Notes(Received=lambda connection, event: connection.send(event.data))
        config = ServerConfig((self.credential(self.first),), alpn=ALPN)
        made = self.manager.listen(URL, self.notes, tls=config, engine=engine)
        assert isinstance(made, Listener)
        self.listener = made

    @staticmethod
    def credential(leaf: trustme.LeafCert) -> Credential:
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return Credential(chain, leaf.private_key_pem.bytes())

    def dial(self) -> tuple[Connection, Notes]:
        """A client of ours, open."""
        notes = Notes()
        made = self.world.managers[-1].connect(
            str(self.listener.url), notes, tls=self.client, server_name="localhost", engine=self.engine
        )
        assert isinstance(made, Connection)
        self.world.run(lambda: bool(notes.of("Opened")))
        return made, notes

    def serial(self, connection: Connection) -> bytes:
        """The certificate that the server showed."""
        assert connection.negotiated is not None
        return connection.negotiated.peer_chain[0]


@pytest.fixture(params=["builtin", "openssl"])
def renewed(request: pytest.FixtureRequest, world: World) -> Renewed:
    return Renewed(world, request.param)


def test_new_configuration_is_for_new_connections(renewed: Renewed) -> None:
    world = renewed.world
    world.manager()
    old, old_notes = renewed.dial()
    renewed.listener.use_tls(ServerConfig((renewed.credential(renewed.second),)))
    new, _ = renewed.dial()
    assert renewed.serial(old) != renewed.serial(new)
    # What HTTP and WebSocket put in stays, where the new one says nothing.
    assert [each.negotiated and each.negotiated.alpn for each in (old, new)] == ["one", "one"]
    old.send(b"still here")
    world.run(lambda: old_notes.data == b"still here")
    for manager in world.managers:
        manager.begin_close(1.0)
    world.run(lambda: all(manager.closed for manager in world.managers))
    for manager in world.managers:
        no_residue(manager)


def test_new_configuration_may_speak_other_protocols(renewed: Renewed) -> None:
    renewed.world.manager()
    renewed.listener.use_tls(ServerConfig((renewed.credential(renewed.second),), alpn=("two",)))
    new, _ = renewed.dial()
    assert new.negotiated is not None
    assert new.negotiated.alpn == "two"


def test_bad_configuration_changes_nothing(renewed: Renewed) -> None:
    renewed.world.manager()
    good = renewed.credential(renewed.second)
    mixed = Credential(good.chain, renewed.credential(renewed.first).key)
    for credentials in ((), (mixed,), (Credential(b"no PEM", good.key),)):
        with pytest.raises(Misuse):
            renewed.listener.use_tls(ServerConfig(credentials))
    first, _ = renewed.dial()
    renewed.listener.use_tls(ServerConfig((good,)))
    second, _ = renewed.dial()
    assert renewed.serial(first) != renewed.serial(second)


def test_plain_closed_and_foreign_thread_are_told(renewed: Renewed) -> None:
    config = ServerConfig((renewed.credential(renewed.second),))
    plain = renewed.manager.listen("tcp://127.0.0.1:0", Notes())
    assert isinstance(plain, Listener)
    with pytest.raises(Misuse, match="plain text"):
        plain.use_tls(config)
    told: list[str] = []

    def elsewhere() -> None:
        try:
            renewed.listener.use_tls(config)
        except Misuse as error:
            told.append(str(error))

    thread = threading.Thread(target=elsewhere, name="elsewhere")
    thread.start()
    thread.join()
    assert "elsewhere" in told[0]
    renewed.listener.close()
    with pytest.raises(Closed, match="no longer listens"):
        renewed.listener.use_tls(config)
