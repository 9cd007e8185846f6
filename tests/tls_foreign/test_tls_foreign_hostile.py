"""What a peer sends, and the order in which the engine is called, never reach the library so that it could
break: each ends in a verdict, and the process lives."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mungos import tls
from mungos.errors import Closed, Misuse
from tests.tls.conftest import Authority
from tests.tls.pump import Ours, records
from tests.tls_foreign.conftest import ENGINES, Pair, pair

BOUNDED = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

_authority: list[Authority] = []


def _pair(name: str) -> Pair:
    if not _authority:
        _authority.append(Authority())
    return pair(name, name, _authority[0])


def check(end: Ours) -> None:
    """At most one failure, and nothing behind it."""
    assert len(end.failures) <= 1
    assert not end.failures or end.events[-1] is end.failures[0]
    if end.failures:
        assert end.engine.ending is end.failures[0]
        assert end.reads() is tls.ReadSide.FAILED


# Headers that look like records, so that more than the first check is reached.
looks_like_a_record = st.builds(
    lambda kind, version, body: bytes((kind, 3, version)) + len(body).to_bytes(2, "big") + body,
    st.sampled_from([20, 21, 22, 23, 24]),
    st.sampled_from([0, 1, 3, 4]),
    st.binary(max_size=300),
)


@pytest.mark.parametrize("name", ENGINES)
@BOUNDED
@given(pieces=st.lists(st.one_of(st.binary(max_size=60), looks_like_a_record), max_size=6))
def test_bytes_instead_of_a_handshake(name: str, pieces: list[bytes]) -> None:
    made = _pair(name)
    for end in made.ends:
        end.take()
        for piece in pieces:
            end.give(piece)
            end.pull()
        end.eof()
        check(end)
        assert end.failures
        end.take()
    made.release()


@pytest.mark.parametrize("name", ENGINES)
@BOUNDED
@given(
    flight=st.integers(0, 3),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 4000),
)
def test_flights_that_were_changed(name: str, flight: int, changes: list[tuple[int, int]], cut: int) -> None:
    """Bytes replaced in one flight, which may be cut as well; lengths and types among them."""
    made = _pair(name)
    ends = made.ends
    for step in range(4):
        data = bytearray(ends[step % 2].take())
        if step == flight and data:
            for at, value in changes:
                data[at % len(data)] = value
            if cut < len(data):
                del data[cut:]
        ends[(step + 1) % 2].give(bytes(data))
        ends[(step + 1) % 2].pull()
    for end in ends:
        end.eof()
        check(end)
    made.release()


@pytest.mark.parametrize("name", ENGINES)
@BOUNDED
@given(
    order=st.lists(st.integers(0, 30), min_size=1, max_size=6),
    junk=looks_like_a_record,
)
def test_records_of_an_open_session_in_any_order(name: str, order: list[int], junk: bytes) -> None:
    """Repeated, left out, swapped, and mixed with others: the first that does not fit ends it."""
    made = _pair(name)
    made.pump()
    for at in range(5):
        made.client.write(bytes([at]) * 100)
    made.client.engine.close_write()
    held = [*records(made.client.take()), junk]
    for at in order:
        made.server.give(held[at % len(held)])
        made.server.pull()
    check(made.server)
    assert bytes(made.server.data) == b"".join(
        bytes([at]) * 100 for at in range(len(made.server.data) // 100)
    )
    made.release()


CALLS = (
    "take",
    "pull",
    "write",
    "close",
    "fail",
    "expire",
    "eof",
    "release",
    "give",
    "junk",
    "early",
    "start",
)


@pytest.mark.parametrize("name", ENGINES)
@BOUNDED
@given(calls=st.lists(st.tuples(st.sampled_from(CALLS), st.booleans()), max_size=25))
def test_calls_in_any_order(name: str, calls: list[tuple[str, bool]]) -> None:
    """No order of calls raises anything but Closed or Misuse, whatever was lost on the way."""
    made = _pair(name)
    for call, of_client in calls:
        end, other = made.ends if of_client else made.ends[::-1]
        engine = end.engine
        try:
            if call == "take":
                engine.take(1000)
            elif call == "pull":
                engine.next_event()
            elif call == "write":
                engine.write((b"x" * 1000, b"y"))
            elif call == "close":
                engine.close_write()
            elif call == "fail":
                engine.fail(tls.AlertDescription.internal_error)
            elif call == "expire":
                engine.expire(100.0)
            elif call == "eof":
                engine.receive_eof(0.0)
            elif call == "release":
                engine.release()
            elif call == "give":
                engine.receive(other.take(), 0.0)
            elif call == "junk":
                engine.receive(b"\x17\x03\x03\x00\x20" + bytes(32), 0.0)
            elif call == "early":
                engine.write_early((b"x",))
            else:
                engine.start(0.0)
        except (Closed, Misuse):
            continue
    made.release()
