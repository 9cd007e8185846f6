"""Records without content, in the clear: no engine passes over them anywhere (RFC 8446 section 5.1)."""

from __future__ import annotations

import pytest

from mungos import tls
from tests.tls.conftest import Meeting
from tests.tls.pump import records

KINDS = {"change_cipher_spec": 20, "alert": 21, "handshake": 22, "application_data": 23}


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest) -> bytes:
    return bytes((KINDS[request.param], 3, 3, 0, 0))


def refused(meeting: Meeting) -> tls.Failed:
    meeting.ours.pull()
    (failed,) = meeting.ours.failures
    assert not failed.sent_by_peer
    assert not meeting.ours.data
    return failed


def test_before_anything_else(unmet: Meeting, empty: bytes) -> None:
    unmet.ours.take()
    unmet.ours.give(empty)
    alert = refused(unmet).alert
    assert alert is tls.AlertDescription.unexpected_message


def test_inside_the_first_message(unmet: Meeting, empty: bytes) -> None:
    if unmet.role == "client":
        unmet.foreign.give(unmet.ours.take())
    unmet.foreign.pull()
    first = records(unmet.foreign.take())[0]
    head, body = first[:3], first[5:]
    unmet.ours.give(head + b"\0\x28" + body[:40] + empty * 40)
    unmet.ours.pull()
    unmet.ours.give(head + (len(body) - 40).to_bytes(2, "big") + body[40:])
    refused(unmet)
    assert not unmet.ours.established


@pytest.mark.parametrize("kind", [20, 21, 23])
def test_another_record_inside_the_client_hello(unmet: Meeting, kind: int) -> None:
    if unmet.role == "client":
        return
    unmet.foreign.pull()
    first = records(unmet.foreign.take())[0]
    unmet.ours.give(first[:3] + b"\0\x28" + first[5:45])
    # Were it taken for a part of the message, the message would be whole.
    unmet.ours.give(bytes((kind, 3, 3)) + (len(first) - 45).to_bytes(2, "big") + first[45:])
    failed = refused(unmet)
    assert failed.alert is tls.AlertDescription.unexpected_message or (
        kind == 21 and failed.alert is tls.AlertDescription.decode_error
    )


def test_in_an_open_session(met: Meeting, empty: bytes) -> None:
    met.ours.give(empty)
    refused(met)
