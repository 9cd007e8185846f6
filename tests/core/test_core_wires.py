"""Both wires behave alike where a program can tell: one script, two transports, the same observations."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import Misuse
from mungos.wires import Address, KernelWire, ManualClock, MemoryNetwork, MemoryWire, Wire
from mungos.wires.contract import BROKEN, READABLE, WRITABLE, StreamEndpoint

LOCAL = Address("127.0.0.1", 0, 4)


@contextmanager
def connected(wire: Wire) -> Iterator[tuple[StreamEndpoint, StreamEndpoint]]:
    """Two ends of one stream."""
    listener = wire.listen(LOCAL, 5, False)
    one = wire.connect(listener.local)
    wire.register(listener.fd, READABLE)
    wire.wait(5.0)
    other = listener.accept()
    assert other is not None
    wire.unregister(listener.fd)
    listener.close()
    assert one.connected() is None
    try:
        yield one, other
    finally:
        one.close()
        other.close()
        assert wire.strays() == []


@contextmanager
def both() -> Iterator[tuple[Wire, Wire]]:
    """A kernel's wire and memory's."""
    kernel, memory = KernelWire(), MemoryWire()
    try:
        yield kernel, memory
    finally:
        kernel.close()
        memory.close()


def observed(call: Callable[[], object]) -> object:
    """What a call returns, or the kind of error that it raises."""
    try:
        return call()
    except BlockingIOError:
        return "would block"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"


def act(end: StreamEndpoint, verb: str) -> object:
    """One step of a script."""
    if verb == "send":
        return observed(lambda: end.send(b"abc"))
    if verb == "receive":
        buffer = bytearray(2)
        return observed(lambda: bytes(buffer[: end.recv_into(buffer)]))
    if verb == "end":
        return observed(end.shutdown_write)
    return observed(end.reset if verb == "reset" else end.close)


STEPS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["send", "receive", "receive", "end"])), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from(["close", "reset", ""]))
def test_the_same_script_is_seen_alike(steps: list[tuple[bool, str]], last: str) -> None:
    with both() as wires, ExitStack() as stack:
        pairs = [stack.enter_context(connected(wire)) for wire in wires]
        seen: list[list[object]] = [[], []]
        ended = set()
        for which, verb in steps:
            if verb == "end" and which in ended:
                continue  # a connection ends its direction once
            if verb == "end":
                ended.add(which)
            for pair, notes in zip(pairs, seen, strict=True):
                notes.append(act(pair[which], verb))
        if last:
            for pair, notes in zip(pairs, seen, strict=True):
                act(pair[0], last)
                # What was delivered before the end comes first. The kernel tells of a reset once.
                answers = [act(pair[1], "receive") for _ in range(30)]
                notes.append(next(answer for answer in answers if answer == b"" or type(answer) is str))
        assert seen[0] == seen[1]


@pytest.mark.parametrize("make", [KernelWire, MemoryWire])
def test_a_peer_that_closes_with_data_unread_resets(make: type[KernelWire | MemoryWire]) -> None:
    wire = make()
    with connected(wire) as (one, other):
        assert one.send(b"unread") == 6
        other.close()
        assert act(one, "receive") == "reset"
    wire.close()


@pytest.mark.parametrize("make", [KernelWire, MemoryWire])
def test_what_was_sent_before_the_accept_counts_even_if_the_sender_has_gone(
    make: type[KernelWire | MemoryWire],
) -> None:
    wire = make()
    listener = wire.listen(LOCAL, 5, False)
    client = wire.connect(listener.local)
    while observed(lambda: client.send(b"early")) == "would block":
        time.sleep(0)
    client.close()
    wire.register(listener.fd, READABLE)
    wire.wait(5.0)
    stream = listener.accept()
    assert stream is not None
    assert act(stream, "receive") == b"ea"
    assert act(stream, "receive") == b"rl"
    assert act(stream, "receive") == b"y"
    assert act(stream, "receive") == b""
    stream.close()
    wire.unregister(listener.fd)
    listener.close()
    assert wire.strays() == []
    wire.close()


@pytest.mark.parametrize("make", [KernelWire, MemoryWire])
def test_endpoints_after_their_close(make: type[KernelWire | MemoryWire]) -> None:
    wire = make()
    with connected(wire) as (one, _):
        one.close()
        one.close()
        one.reset()
        for call in (lambda: one.send(b"x"), lambda: one.recv_into(bytearray(1)), one.shutdown_write):
            with pytest.raises(OSError, match="closed"):
                call()
    wire.close()
    wire.close()


def test_memory_readiness_is_level_triggered() -> None:
    wire = MemoryWire()
    with connected(wire) as (one, other):
        wire.register(other.fd, READABLE)
        assert wire.ready() == []
        one.send(b"ab")
        for _ in range(3):
            assert wire.wait(0) == [(other.fd, READABLE)]
        act(other, "receive")
        assert wire.wait(0) == []
        wire.modify(other.fd, READABLE | WRITABLE)
        assert wire.wait(0) == [(other.fd, WRITABLE)]
        one.reset()
        assert wire.wait(0) == [(other.fd, READABLE | WRITABLE | BROKEN)]
        wire.unregister(other.fd)
        assert wire.wait(0) == []


def test_memory_waiting_moves_the_clock_only_when_nothing_is_there() -> None:
    network = MemoryNetwork(ManualClock(100.0))
    wire = network.wire()
    wire.wait(2.5)
    assert network.clock.now() == 102.5
    wire.wake()
    wire.wait(5.0)
    assert network.clock.now() == 102.5
    with pytest.raises(Misuse, match="for ever"):
        wire.wait(None)
    with pytest.raises(Misuse, match="does not go back"):
        network.clock.advance(-1)


def test_memory_counts_descriptors() -> None:
    network = MemoryNetwork()
    network.descriptors_left = 10
    wire = network.wire()
    with connected(wire):
        pass
    assert network.descriptors_left == 10
    listener = wire.listen(LOCAL, 1, False)
    client, refused = wire.connect(listener.local), wire.connect(listener.local)
    assert refused.connected() is not None
    refused.close()
    client.reset()
    accepted = listener.accept()
    assert accepted is not None
    accepted.close()
    listener.close()
    assert network.descriptors_left == 10
    network.descriptors_left = 0
    with pytest.raises(OSError, match="Too many open files"):
        wire.listen(LOCAL, 1, False)


def test_memory_pipes_are_bounded() -> None:
    wire = MemoryNetwork(capacity=10).wire()
    with connected(wire) as (one, other):
        assert one.send(bytes(25)) == 10
        assert act(one, "send") == "would block"
        act(other, "receive")
        assert one.send_parts([b"a", b"bcd"]) == 2


def test_kernel_wake_ends_a_wait_from_another_thread() -> None:
    wire = KernelWire()
    thread = threading.Thread(target=wire.wake)
    began = time.monotonic()
    thread.start()
    assert wire.wait(8.0) == [(wire.wake_fd, READABLE)]
    assert time.monotonic() - began < 4
    thread.join()
    for _ in range(3):
        wire.wake()
    wire.drain()
    assert wire.wait(0.01) == []
    wire.drain()
    wire.close()
    wire.wake()


def test_kernel_names_its_strays() -> None:
    wire = KernelWire()
    with connected(wire) as (one, other):
        found = wire.strays()
        assert len(found) == 2
        assert any(str(one.local) in text for text in found)
        copy = socket.socket(fileno=socket.dup(other.fd))
        other.close()
        assert any(f"descriptor {copy.fileno()}: KernelStream" in text for text in wire.strays())
        copy.close()
    wire.close()


def test_addresses_are_written_as_people_write_them() -> None:
    assert str(Address("192.0.2.1", 80, 4)) == "192.0.2.1:80"
    assert str(Address("2001:db8::1", 80, 6)) == "[2001:db8::1]:80"
    assert str(Address("/run/x", 0, 0)) == "unix:/run/x"
    assert str(Address("\0name", 0, 0)) == "unix:@name"
    assert str(Address("", 0, 0)) == "unix:(unnamed)"
    assert Address("a", 1, 4) == Address("a", 1, 4) != Address("a", 1, 6)
    assert len({Address("a", 1, 4), Address("a", 1, 4)}) == 1
    assert Address("a", 1, 4) != "a"
