"""RFC 8446 section 5.1: a handshake message may be spread over records, also after the handshake. Whatever is
done while half of one has come, the session lives: a peer that cuts its tickets is not at fault."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mungos import tls
from mungos.errors import Closed, PeerMisbehaved
from tests.tls.conftest import Authority, Role, foreign_context, speaks
from tests.tls.forge import DATA, HANDSHAKE, Forge
from tests.tls.pump import Foreign, Ours, pump
from tests.tls_foreign.conftest import ALL, needed

# KeyUpdate, which both roles may send, and which asks for no answer (RFC 8446 section 4.6.3). The header is
# whole: wolfSSL takes none that is cut.
BEGUN, REST = b"\x18\0\0\x01", b"\0"

ENGINES = [name for name in ALL if speaks(name, "TLSv1.3") and speaks(name, "key updates")]


@dataclass
class Halfway:
    """Our end, to which half of a message has come, and a foreign one."""

    ours: Ours
    foreign: Foreign
    forge: Forge

    def send_the_rest(self) -> None:
        self.ours.give(self.forge.record(HANDSHAKE, REST))
        self.ours.pull()

    def carry(self) -> None:
        self.foreign.give(self.ours.take())
        self.foreign.pull()


@pytest.fixture(params=["client", "server"])
def role(request: pytest.FixtureRequest) -> Role:
    return "client" if request.param == "client" else "server"


@pytest.fixture(params=ENGINES)
def halfway(
    request: pytest.FixtureRequest, role: Role, authority: Authority, tmp_path: Path
) -> Iterator[Halfway]:
    factory = needed(request.param)
    context = foreign_context(role == "client", authority)
    keylog = tmp_path / "keylog"
    context.keylog_filename = str(keylog)
    if role == "client":
        ours = Ours(factory.client(tls.ClientConfig(roots=authority.pem), "localhost"))
        foreign = Foreign(context, server=True)
    else:
        ours = Ours(factory.server(tls.ServerConfig((authority.credential("localhost"),))))
        foreign = Foreign(context, server=False, server_name="localhost")
    pump(ours, foreign)
    assert ours.established
    label = "SERVER_TRAFFIC_SECRET_0" if role == "client" else "CLIENT_TRAFFIC_SECRET_0"
    made = Halfway(ours, foreign, Forge(keylog, label))
    ours.give(made.forge.record(HANDSHAKE, BEGUN))
    ours.pull()
    yield made
    ours.engine.release()
    context.keylog_filename = os.devnull  # or the file stays open as long as the session
    foreign.drop()


def test_what_is_written_goes_out_now_or_with_the_rest(halfway: Halfway) -> None:
    engine = halfway.ours.engine
    big = b"x" * 40_000
    accepted = engine.write((b"y", big))
    assert accepted in (0, len(big) + 1)
    assert engine.ending is None
    halfway.send_the_rest()
    if not accepted:
        assert engine.write((b"y", big)) == len(big) + 1
    halfway.carry()
    assert halfway.foreign.data == b"y" + big
    assert halfway.foreign.error is None


def test_close_notify_goes_out_now_or_with_the_rest(halfway: Halfway) -> None:
    engine = halfway.ours.engine
    engine.close_write()
    assert engine.ending is None
    assert halfway.ours.writes() is tls.WriteSide.FLUSHING
    with pytest.raises(Closed):
        engine.write((b"too late",))
    halfway.send_the_rest()
    halfway.carry()
    assert halfway.foreign.closed
    assert halfway.foreign.error is None
    assert halfway.ours.writes() is tls.WriteSide.ENDED
    assert halfway.ours.reads() is tls.ReadSide.OPEN
    engine.close_write()
    assert engine.unsent == 0


def test_the_stream_s_end_ends_what_still_waited(halfway: Halfway) -> None:
    halfway.ours.engine.close_write()
    halfway.ours.eof()
    halfway.ours.take()
    assert halfway.ours.writes() is tls.WriteSide.ENDED
    assert halfway.ours.reads() is tls.ReadSide.TRUNCATED
    assert not halfway.ours.failures


@pytest.mark.parametrize("halfway", ["builtin", "openssl"], indirect=True)
def test_rfc8446_5_1_another_record_between_the_halves(halfway: Halfway) -> None:
    """wolfSSL lets it pass."""
    halfway.ours.give(halfway.forge.record(DATA, b"between"))
    halfway.ours.pull()
    (failed,) = halfway.ours.failures
    assert isinstance(failed.error, PeerMisbehaved)
    assert failed.alert is tls.AlertDescription.unexpected_message
    halfway.carry()
    assert halfway.foreign.saw_alert("unexpected message")
    assert not halfway.ours.data
    assert halfway.ours.reads() is tls.ReadSide.FAILED
