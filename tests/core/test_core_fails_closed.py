"""Whoever has asked for TLS gets and sends no plain byte, whichever call of an engine fails, and however."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mungos.testing.tls.world import WireName
from mungos.tls.engines import all_engines
from tests.core.failing_engine import ERRORS, INTERRUPTS, Fault
from tests.core.plain_text_scene import FACES, MARK, WAYS, Papers, Scene, answer, failing, is_server
from tests.thinning import STRIDE

_ABSENT = {each.name: each.reason for each in all_engines() if not each.present}
ENGINES = [
    pytest.param(name, marks=pytest.mark.skip(f"{name}: {_ABSENT[name]}")) if name in _ABSENT else name
    for name in ("builtin", "openssl", "wolfssl", "mbedtls")
]

AT_THE_CALL = ("select", "availability", "make", "release")
"""Calls that are made while the application asks for TLS."""

OPENING = (
    "start",
    "receive",
    "receive_eof",
    "next_event",
    "take",
    "close_write",
    "expire",
    "release",
    "unread",
    "unsent",
    "deadline",
    "read_side",
    "write_side",
    "negotiated",
    "ending",
)
"""Calls before a handshake is complete; a listener makes a session for each client besides."""

OPEN = tuple(call for call in (*OPENING, "write") if call not in {"start", "expire"})
"""Calls after it."""

MUCH_TRIED = {"select", "make", "start", "receive", "next_event", "take", "write"}
"""With each of the exceptions; the others with one each, in turn."""

Plan = list[tuple[str, str, Callable[[], BaseException]]]


@pytest.fixture(scope="module")
def papers() -> Papers:
    return Papers()


def trigger(scene: Scene, call: str, way: str) -> None:
    """See to it that the call is made, and speak plain text."""
    scene.settle()
    connection = scene.connection
    if connection is not None:
        if call == "close_write":
            connection.close()
        elif call == "write":
            connection.send(MARK)
        elif call == "negotiated":
            assert connection.negotiated is None or scene.sealed
        elif call == "unread":
            assert connection.unread >= 0
    if call == "read_side" and scene.sealed:
        scene.say(b"\x17\x03\x03")  # no whole record
    elif call == "receive_eof" and scene.peer is not None:
        scene.say(answer(way)[:3])
        scene.settle()
        scene.peer.end()
    elif call == "expire":
        scene.pass_time()
    scene.settle()
    scene.say(answer(way))
    scene.settle()
    scene.say(answer(way))
    scene.pass_time()


def play(scene: Scene, way: str, call: str, stage: str) -> list[str]:
    """One cell; returns what went wrong in it."""
    fault = scene.fault
    # Where it is to fail later, what asks for TLS succeeds.
    at_once = stage == "at the call" or (call == "start" and way.startswith("start"))
    wanted, fault.call = fault.call, fault.call if at_once else "none yet"
    wrong = []
    try:
        WAYS[way](scene)
        assert stage == "at the call" or scene.raised is None
        if stage == "open":
            scene.shake_hands(server=not is_server(way))
        fault.call = wanted
        trigger(scene, call, way)
    except Exception as error:  # noqa: BLE001 - whatever comes out, it should not have
        wrong.append(f"it came out: {error!r}")
    return wrong + scene.verdict()


def run(
    monkeypatch: pytest.MonkeyPatch, papers: Papers, wire: WireName, engine: str, way: str, plan: Plan
) -> None:
    """Play the whole plan; fails with all that went wrong, or where a fault was not met."""
    wrong, missed = [], []
    for stage, call, error in plan:
        name = ("server" if is_server(way) else "client") if call == "make" else call
        fault = Fault(name, error)
        with failing(monkeypatch, engine, fault):
            found = play(Scene(wire, papers, fault), way, call, stage)
        wrong += [f"{stage}, {call} raises {error()!r}: {words}" for words in found]
        if not fault.fired:
            missed.append((stage, call))
    assert not wrong, f"{len(wrong)} in {len(plan)} cells:\n" + "\n".join(wrong[:12])
    assert not missed


def plan_of(way: str) -> Plan:
    """Every call, in every stage in which this way makes it."""
    listens = way.startswith("listen")
    stages = {
        "at the call": AT_THE_CALL if listens else AT_THE_CALL[:3],
        "opening": ("make", *OPENING) if listens else OPENING,
        "open": () if way in FACES else OPEN,
    }
    plan: Plan = []
    turn = sum(map(ord, way))
    for stage, calls in stages.items():
        for call in calls:
            for error in ERRORS[::STRIDE] if call in MUCH_TRIED else (ERRORS[turn % len(ERRORS)],):
                plan.append((stage, call, error))
            turn += 1
    return plan


def test_the_plan_is_large() -> None:
    assert sum(len(plan_of(way)) for way in WAYS) > 2000 // STRIDE


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("engine", ENGINES)
def test_no_plain_byte_passes_whichever_call_of_the_engine_raises(
    monkeypatch: pytest.MonkeyPatch, papers: Papers, engine: str, way: str
) -> None:
    run(monkeypatch, papers, "memory", engine, way, plan_of(way))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("engine", ENGINES)
def test_on_the_kernels_sockets_too(
    monkeypatch: pytest.MonkeyPatch, papers: Papers, engine: str, way: str
) -> None:
    calls = {"make", "start", "receive", "next_event", "take"}
    plan: Plan = [
        (stage, call, error)
        for stage, call, error in plan_of(way)
        if call in calls and stage != "open" and error in {ERRORS[0], ERRORS[7]}
    ]
    run(monkeypatch, papers, "kernel", engine, way, plan)


INTERRUPTED = [
    (call, way)
    for way in WAYS
    for call in ("start", "receive", "next_event", "take", "release")
    if way not in FACES and not (call == "start" and way.startswith("start"))  # which is within the call
]


@pytest.mark.parametrize(("call", "way"), INTERRUPTED)
@pytest.mark.parametrize("error", INTERRUPTS)
def test_an_interrupt_within_the_engine_leaves_poll_and_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, papers: Papers, call: str, error: Callable[[], BaseException], way: str
) -> None:
    fault = Fault("none yet", error)
    left: list[BaseException] = []
    with failing(monkeypatch, "openssl", fault):
        scene = Scene("memory", papers, fault)
        WAYS[way](scene)
        fault.call = call
        for act in (
            scene.settle,
            lambda: scene.say(answer(way)),
            scene.settle,
            scene.pass_time,
            scene.settle,
        ):
            try:
                act()
            except BaseException as interrupt:  # noqa: BLE001 - three kinds of it
                left.append(interrupt)
        assert scene.verdict() == []
    assert fault.fired
    assert [type(each) for each in left] == [type(error())]
