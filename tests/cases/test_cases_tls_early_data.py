"""0-RTT data on connections (T33, T34): the application gets what nobody can have repeated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mungos import CloseKind
from mungos.core import Phase
from mungos.tls import EarlyDataGuard, SessionCache, TicketKeys
from tests.cases.tls_stand import Stand, cut, server_config
from tests.cases.world import Notes

EARLY = b"in the first flight"
LATER = b"after the handshake"


@pytest.fixture(params=["builtin"])
def engine(request: pytest.FixtureRequest) -> str:
    """Those that have early data."""
    return str(request.param)


def settings(policy: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of a client and of a server that let each other."""
    client = {"sessions": SessionCache(), "early_data": policy}
    return client, {"tickets": TicketKeys(count=1), "early_data": EarlyDataGuard()}


def visit(stand: Stand, port: int, server: Notes, options: dict[str, Any]) -> Notes:
    """A session from which a ticket is left."""
    notes = Notes()
    stand.dial(port, notes, **options)
    stand.world.run(lambda: notes.names == ["Opened"])
    notes.connection.send(b"?")
    stand.world.run(lambda: server.data.endswith(b"?"))
    # The ticket came before the answer.
    server.connection.send(b"!")
    stand.world.run(lambda: notes.data == b"!")
    notes.connection.close()
    stand.world.run(lambda: notes.closed)
    return notes


@pytest.mark.parametrize("lets", [True, False], ids=["accepted", "rejected"])
def test_t34_what_is_sent_before_opened_arrives_once(stand: Stand, lets: bool) -> None:
    client_options, server_options = settings("resend")
    served = Notes()
    listener = stand.serve(served, **server_options)
    visit(stand, listener.address.port, served, client_options)
    if not lets:
        listener.use_tls(replace(server_config(), tickets=server_options["tickets"]))
    again = Notes()
    connection = stand.dial(listener.address.port, again, **client_options)
    connection.send(EARLY)
    stand.world.run(lambda: served.data.endswith(EARLY))
    stand.world.run(lambda: again.names == ["Opened"])
    connection.send(LATER)
    stand.world.run(lambda: served.data.endswith(LATER))
    assert served.data == b"?" + EARLY + LATER
    # The application has heard that the connection is open before it got anything.
    assert served.names[-3:] == ["Opened", "Received", "Received"]
    for end, fate in ((connection, "resent"), (served.faces[-1], "rejected")):
        assert end.negotiated is not None  # type: ignore[attr-defined]
        found = end.negotiated.early_data  # type: ignore[attr-defined]
        assert found == ("accepted" if lets else fate)
    connection.close()
    stand.world.run(lambda: again.closed)


def test_t34_reported_where_the_policy_says_so(stand: Stand) -> None:
    client_options, server_options = settings("report")
    served = Notes()
    listener = stand.serve(served, **server_options)
    visit(stand, listener.address.port, served, client_options)
    listener.use_tls(replace(server_config(), tickets=server_options["tickets"]))
    again = Notes()
    connection = stand.dial(listener.address.port, again, **client_options)
    connection.send(EARLY)
    stand.world.run(lambda: again.names == ["Opened"])
    assert connection.negotiated is not None
    assert connection.negotiated.early_data == "rejected"
    connection.send(LATER)
    stand.world.run(lambda: served.data.endswith(LATER))
    assert served.data == b"?" + LATER
    connection.close()
    stand.world.run(lambda: again.closed)


def test_without_a_ticket_it_waits_for_the_handshake(stand: Stand) -> None:
    client_options, server_options = settings("resend")
    served, notes = Notes(), Notes()
    listener = stand.serve(served, **server_options)
    connection = stand.dial(listener.address.port, notes, **client_options)
    connection.send(EARLY)
    stand.world.run(lambda: served.data == EARLY)
    assert connection.negotiated is not None
    assert connection.negotiated.early_data == "none"
    connection.close()
    stand.world.run(lambda: notes.closed)


def test_more_than_the_ticket_allows_follows_later(stand: Stand) -> None:
    client_options, server_options = settings("resend")
    server_options["early_data"] = EarlyDataGuard(max_bytes=1000)
    served, again = Notes(), Notes()
    listener = stand.serve(served, **server_options)
    visit(stand, listener.address.port, served, client_options)
    connection = stand.dial(listener.address.port, again, **client_options)
    data = bytes(range(256)) * 40
    connection.send(data)
    stand.world.run(lambda: len(served.data) == 1 + len(data))
    assert served.data[1:] == data
    assert connection.negotiated is not None
    assert connection.negotiated.early_data == "accepted"
    connection.close()
    stand.world.run(lambda: again.closed)


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_t33_cut_before_end_of_early_data(stand: Stand, how: str) -> None:
    """The application never hears of data that may be a replay."""
    client_options, server_options = settings("resend")
    served = Notes()
    listener = stand.serve(served, **server_options)
    visit(stand, listener.address.port, served, client_options)
    # The client talks to a wall; what it says is carried over to the server.
    wall = stand.world.listener()
    again = Notes()
    connection = stand.dial(wall.port, again, **client_options)
    connection.send(EARLY)
    wire = stand.world.accept(wall)
    stand.world.run(lambda: len(wire.received) > len(EARLY) and connection.phase is Phase.SECURING)
    before = len(served.names)
    raw = stand.world.connect(str(listener.url))
    raw.send(bytes(wire.received))
    stand.world.run(lambda: len(raw.received) > 0)
    cut(raw, how)
    stand.world.run(lambda: len(served.names) > before)
    assert served.names[before:] == ["Closed"]
    assert served.data == b"?"
    reason = served.faces[-1].reason  # type: ignore[attr-defined]
    assert reason.kind in {CloseKind.BROKEN, CloseKind.PEER_RESET, CloseKind.TLS_ALERT}
    wire.close()
    stand.world.run(lambda: again.closed)
