"""A peer that makes the engine answer and reads nothing: what waits for it is bounded, on every engine."""

from __future__ import annotations

import pytest

from mungos import tls
from mungos.errors import PeerMisbehaved
from mungos.tls.bounds import MAX_ANSWERS, MAX_QUIET
from tests.tls.conftest import Meeting
from tests.tls.forge import DATA, HANDSHAKE, Forge12
from tests.tls.pump import pump

KEY_UPDATE = bytes.fromhex("1800000101")  # update_requested, RFC 8446 section 4.6.3
ANSWER = 64  # bytes of one answer at most
RECORD = (1 << 14) + 64
ENOUGH = 12_000  # of answers of 25 bytes, more than may wait

MAX_UNSENT = tls.ServerConfig().max_unsent


def most(meeting: Meeting) -> int:
    return MAX_UNSENT + MAX_ANSWERS + ANSWER


def flood(meeting: Meeting, *, data: bool, unsent: int = 0) -> int:
    """Ask for new keys without end. Returns the most that waited."""
    forge = meeting.forge()
    ours = meeting.ours
    if unsent:
        ours.write(b"x" * unsent)
    highest = 0
    for _ in range(ENOUGH):
        ours.give(forge.record(HANDSHAKE, KEY_UPDATE))
        forge.update()
        if data:
            ours.give(forge.record(DATA, b"x"))
        ours.pull()
        highest = max(highest, ours.engine.unsent)
        if ours.engine.ending is not None:
            break
    return highest


@pytest.mark.parametrize("data", [False, True], ids=["alone", "with data between them"])
def test_key_updates_that_nobody_reads_the_answers_of(met_13: Meeting, data: bool) -> None:
    assert flood(met_13, data=data) <= most(met_13)
    ending = met_13.ours.engine.ending
    if ending is None:
        # One answer stands for all that wait: nothing grows.
        assert met_13.ours.engine.unsent <= ANSWER
    else:
        assert isinstance(ending.error, PeerMisbehaved)
        assert (
            "answers wait" in str(ending.error)
            or "in a row" in str(ending.error)
            or "TLS failed" in str(ending.error)
        )
        assert len(met_13.ours.failures) == 1


def test_answers_above_a_full_queue_are_bounded(met_13: Meeting) -> None:
    """What was written fills `max_unsent`; the answers come on top, and are bounded by themselves."""
    assert flood(met_13, data=True, unsent=MAX_UNSENT - 2 * RECORD) <= most(met_13)


def test_answers_that_are_read_are_not_counted(met_13: Meeting) -> None:
    forge = met_13.forge()
    ours = met_13.ours
    for _ in range(ENOUGH):
        ours.give(forge.record(HANDSHAKE, KEY_UPDATE))
        forge.update()
        ours.give(forge.record(DATA, b"x"))
        ours.pull()
        ours.take()
        if ours.engine.ending is not None:
            break
    assert ours.engine.ending is None


# RFC 5246 section 7.4.1.1: asks a client for another handshake. A server is asked by another ClientHello.
HELLO_REQUEST = bytes(4)


@pytest.mark.parametrize("data", [False, True], ids=["alone", "with data between them"])
def test_another_handshake_asked_for_without_end(unmet: Meeting, data: bool) -> None:
    if unmet.version != "TLSv1.2":
        return
    ours, foreign = unmet.ours, unmet.foreign
    client, server = (ours, foreign) if unmet.role == "client" else (foreign, ours)
    client.pull()
    hello = client.take()
    server.give(hello)
    server.pull()
    flight = server.take()
    client.give(flight)
    client.pull()
    pump(client, server)
    assert ours.established
    cipher = foreign.session.cipher()
    assert cipher is not None
    forge = Forge12(unmet.keylog, flight, cipher[0], server=unmet.role == "client")
    asked = HELLO_REQUEST if unmet.role == "client" else hello[5:]
    highest = given = 0
    for _ in range(ENOUGH):
        ours.give(forge.record(HANDSHAKE, asked))
        if data and ours.engine.ending is None:
            ours.give(forge.record(DATA, b"x"))
            given += 1
        ours.pull()
        highest = max(highest, ours.engine.unsent)
        if ours.engine.ending is not None:
            break
    assert highest <= most(unmet)
    if ours.engine.ending is None:
        assert bytes(ours.data) == b"x" * given  # the forged records were read


CANCELED = bytes.fromhex("1503030002015a")  # user_canceled, a warning
CHANGE = bytes.fromhex("140303000101")


@pytest.mark.parametrize("record", [CANCELED, CHANGE], ids=["user_canceled", "change_cipher_spec"])
def test_what_brings_a_handshake_no_further_is_bounded(unmet: Meeting, record: bytes) -> None:
    """Libraries pass over it, some without end."""
    ours = unmet.ours
    ours.take()
    ours.give(record * (MAX_QUIET + 1))
    ours.pull()
    (failed,) = ours.failures
    assert isinstance(failed.error, PeerMisbehaved)
    # wolfSSL sends none of our choice once it has read anything.
    assert failed.alert is not None or "further" in str(failed.error)
    assert not ours.established
