"""The demo plays on every wire, and what is planted in it is found and named."""

from __future__ import annotations

import functools
import importlib
import io
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from mungos.cli.demo import demo
from mungos.cli.demo_ends import EchoServer
from mungos.cli.demo_log import HEADER, logging_to
from mungos.cli.demo_payloads import SIZES, binary, first_difference, text
from mungos.cli.demo_results import STEPS, TIMES, PairResult, RunResult, State
from mungos.cli.demo_scenario import Demo
from mungos.cli.demo_table import WIDTH, Presentation
from mungos.cli.demo_versions import newest_in_common
from mungos.cli.development_certificate import make_development_certificate
from mungos.tls import Credential
from mungos.tls.engines import all_engines
from mungos.websocket import Established
from mungos.websocket.attach import ServerConnection
from mungos.wires import KernelWire, ManualClock, MemoryNetwork

ENGINES = [engine.name for engine in all_engines() if engine.present]
PAIRS: list[tuple[str, str] | None] = [
    None,
    *((one, other) for one in ENGINES for other in ENGINES if newest_in_common(one, other)),
]
COMMAND = importlib.import_module("mungos.cli.demo")


@pytest.fixture(scope="module")
def credential() -> Credential:
    return make_development_certificate().credential


def in_memory() -> dict[str, Any]:
    """A wire and its clock: waiting takes no time."""
    network = MemoryNetwork(ManualClock())
    return {"wire": network.wire, "clock": network.clock.now}


def on_kernel() -> dict[str, Any]:
    return {}


WIRES = pytest.mark.parametrize("wires", [on_kernel, in_memory])


# What passes.


@WIRES
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "plain" if pair is None else "-".join(pair))
def test_demo_passes(
    pair: tuple[str, str] | None,
    wires: Callable[[], dict[str, Any]],
    credential: Credential,
    time_factor: float,
) -> None:
    play = Demo([pair], credential, budget=30 * time_factor, **wires())
    result = play.play()
    assert result.failures == []
    assert result.ok
    (only,) = result.pairs
    assert [step.state for step in only.steps.values()] == [State.PASSED] * len(STEPS)
    assert only.connections == 4
    assert only.moved > 2 * 2 * sum(SIZES)
    assert (only.negotiated is None) is (pair is None)
    assert set(result.census().values()) == {0}
    # A listener and both ends of four connections; the same number of TLS sessions but for the listener.
    assert only.made["descriptor"] == only.freed["descriptor"] == 9
    assert only.made.get("engine", 0) == only.freed.get("engine", 0) == (0 if pair is None else 8)
    assert only.made["timer"] == 1
    assert only.report is not None
    assert only.report.cancelled_timers == 1


def test_a_run_in_memory_takes_no_time() -> None:
    result = Demo([None], **in_memory()).play()
    assert result.ok
    assert result.seconds == 0


@pytest.mark.parametrize("size", SIZES)
def test_payloads_have_their_size_and_are_the_same_again(size: int) -> None:
    assert len(text("here", size).encode()) == size
    assert len(binary("here", size)) == size
    assert text("here", size) == text("here", size)
    assert binary("here", size) == binary("here", size)
    assert first_difference(text("here", size), text("here", size)) is None


def test_payloads_are_varied() -> None:
    assert binary("here", 126) != binary("there", 126)
    assert {len(character.encode()) for character in text("here", 126)} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("sent", "came", "words"),
    [
        (b"abc", b"aXc", "byte 1 of 3 is 0x58, sent was 0x62"),
        (b"abc", b"ab", "2 bytes came back, sent were 3"),
        ("abc", b"abc", "a text message came back as a binary one"),
    ],
)
def test_differences_are_named(sent: str | bytes, came: str | bytes, words: str) -> None:
    assert first_difference(sent, came) == words


# What is planted is found.


class Corrupting(EchoServer):
    def answer(self, session: ServerConnection, data: str | bytes) -> None:
        if isinstance(data, bytes) and len(data) == 8192:
            data = data[:4711] + bytes([data[4711] ^ 1]) + data[4712:]
        super().answer(session, data)


class Mute(EchoServer):
    def answer(self, session: ServerConnection, data: str | bytes) -> None:
        del session, data


class Raising(EchoServer):
    def answer(self, session: ServerConnection, data: str | bytes) -> None:
        raise LookupError("planted")


class DeafToClose(EchoServer):
    def __call__(self, session: ServerConnection, event: object) -> None:
        super().__call__(session, event)
        if isinstance(event, Established) and event.path == "/close-by-client":
            session.connection.pause()


class Leaking(EchoServer):
    """Keeps something on the ledger."""

    def __call__(self, session: ServerConnection, event: object) -> None:
        super().__call__(session, event)
        if isinstance(event, Established) and event.path == "/echo":
            connection = session.connection
            ledger = connection.manager.ledger
            ledger.enter("thread", "a planted thread", connection.origin, connection.manager.now)


class Signalling(EchoServer):
    def answer(self, session: ServerConnection, data: str | bytes) -> None:
        signal.raise_signal(signal.SIGTERM)
        super().answer(session, data)


@WIRES
def test_a_corrupted_byte_is_found(wires: Callable[[], dict[str, Any]]) -> None:
    result = Demo([None], server=Corrupting, **wires()).play()
    assert not result.ok
    (failure,) = result.failures
    assert (failure.pair, failure.step) == ("plain", "echo")
    assert "binary message of 8,192 bytes differs: byte 4,711 of 8,192" in failure.what
    assert "open for" in failure.evidence[0]
    assert "WebSocket open" in failure.evidence[0]
    states = [step.state for step in result.pairs[0].steps.values()]
    skipped = State.SKIPPED
    assert states == [State.PASSED, State.FAILED, skipped, skipped, skipped, State.PASSED]
    assert set(result.census().values()) == {0}


def test_a_server_that_never_answers_close_is_named_with_its_phase() -> None:
    result = Demo([None], server=DeafToClose, step_within=9, **in_memory()).play()
    (failure,) = result.failures
    assert (failure.pair, failure.step) == ("plain", "closes")
    assert failure.what == (
        "closed by the client, the client's end was: timed out while open: "
        "timed out while awaiting the peer's Close (limit 3 s)"
    )
    assert any("server" in line and "WebSocket open" in line for line in failure.evidence)
    assert set(result.census().values()) == {0}


def test_silence_is_named_with_phase_and_time() -> None:
    result = Demo([None, None], server=Mute, **in_memory()).play()
    first, second = result.failures
    assert first.what == "waited 10 s in vain for the echo of a text message of 1 byte"
    assert all("open for 10.000 s" in line and "0 bytes unsent" in line for line in first.evidence)
    assert len(first.evidence) == 2
    assert second.what == first.what


def test_a_failing_handler_is_named() -> None:
    with logging_to(io.StringIO(), lambda: None):
        result = Demo([None], server=Raising, **in_memory()).play()
    (failure,) = result.failures
    assert "ended while waiting for the echo" in failure.what
    assert set(result.census().values()) == {0}


def test_what_is_left_on_the_ledger_is_named() -> None:
    result = Demo([None], server=Leaking, **in_memory()).play()
    assert not result.ok
    (failure,) = result.failures
    assert (failure.pair, failure.step) == ("plain", "manager")
    assert failure.what == "1 left after the manager's close"
    assert "thread: a planted thread, made at " in failure.evidence[0]
    assert "alive for" in failure.evidence[0]
    assert result.census()["thread"] == 1


def test_a_descriptor_that_the_ledger_does_not_know_is_named() -> None:
    kept = []

    class Stray(EchoServer):
        def __call__(self, session: ServerConnection, event: object) -> None:
            super().__call__(session, event)
            if isinstance(event, Established) and event.path == "/echo":
                remote = session.connection.local
                assert remote is not None
                kept.append(session.connection.manager.wire.connect(remote))

    result = Demo([None], server=Stray).play()
    kept[0].close()
    (failure,) = result.failures
    assert result.pairs[0].strays == 1
    assert "descriptor" in failure.evidence[0]


def test_the_budget_ends_a_run() -> None:
    result = Demo([None, None, None], server=Mute, budget=15, step_within=10, **in_memory()).play()
    assert [failure.step for failure in result.failures] == ["echo", "echo", ""]
    assert "the budget of 15 s ran out while waiting for the echo" in result.failures[1].what
    assert "never played: plain" in result.failures[2].what
    assert result.seconds < 15 + 2
    assert result.pairs[2].report is None


def test_a_second_signal_cuts_the_close_short() -> None:
    play = Demo([None], **in_memory())

    def interrupt() -> None:
        if play.result.pairs[0].steps["echo"].state is State.RUNNING:
            play.interrupt(signal.SIGINT)

    play.on_change = interrupt
    result = play.play()
    assert result.interrupted == signal.SIGINT
    assert result.failures == []
    assert not result.ok
    assert set(result.census().values()) == {0}


# The command.


def run(*arguments: str) -> Result:
    return CliRunner().invoke(demo, arguments)


def plant(monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    monkeypatch.setattr(COMMAND, "Demo", functools.partial(Demo, **options))


def test_the_last_line_is_all_connections_closed(time_factor: float) -> None:
    result = run("--budget", str(30 * time_factor))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[-1] == "All connections closed"
    assert all(len(line) <= WIDTH for line in lines)
    assert all("…" not in line for line in lines)
    for pair in PAIRS:
        name = "plain" if pair is None else f" {TIMES} ".join(pair)
        assert any(line.startswith(f"{name} ") and line.count("✓") == len(STEPS) for line in lines)


def test_json_is_json(time_factor: float) -> None:
    result = run("--json", "--engine", "plain", "--budget", str(30 * time_factor))
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["ok"] is True
    assert told["pairs"][0]["steps"]["echo"]["state"] == "passed"
    assert set(told["census"].values()) == {0}


def test_the_log_has_a_line_for_each_arrow_of_each_connection(time_factor: float) -> None:
    result = run("--log", "--engine", "plain", "--budget", str(30 * time_factor))
    lines = result.stdout.splitlines()
    assert lines[0] == HEADER
    arrows = [line.split() for line in lines if " → closed " in line]
    # time, id, role, from, arrow, to, unsent, unread: both ends of four connections.
    assert sorted(line[1] for line in arrows) == [f"c{number}" for number in range(2, 10)]
    assert {tuple(line[6:8]) for line in arrows} == {("0", "0")}
    assert any("→ binary message of 1,048,576 bytes" in line for line in lines)
    assert lines[-1] == "All connections closed"
    assert logging.getLogger("mungos").handlers == []


@pytest.mark.parametrize(
    ("server", "words"),
    [(Corrupting, "byte 4,711"), (Mute, "in vain"), (Leaking, "a planted thread"), (Raising, "planted")],
)
def test_a_fault_is_printed_with_status_1(
    server: type[EchoServer], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, server=server, **in_memory())
    result = run("--engine", "plain")
    assert result.exit_code == 1
    assert words in result.stdout.replace("\n", " ")
    assert "All connections closed" not in result.stdout
    assert result.stdout.splitlines()[-1].startswith("Failed (1 finding)")
    told = json.loads(run("--engine", "plain", "--json").stdout)
    assert told["ok"] is False
    assert words in json.dumps(told["failures"])


def test_a_budget_that_is_too_small_is_exceeded_and_said() -> None:
    result = run("--budget", "0.0001")
    assert result.exit_code == 1
    assert "the budget is 0.0001 s; never played:" in result.stdout


def test_sigterm_ends_it_with_everything_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, server=Signalling)
    before = signal.getsignal(signal.SIGTERM)
    result = run("--engine", "plain")
    assert result.exit_code == 128 + signal.SIGTERM
    assert result.stdout.splitlines()[-1] == ("Interrupted by SIGTERM: everything that was opened is closed")
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_unknown_engine_is_wrong_usage() -> None:
    result = run("--engine", "steam")
    assert result.exit_code == 2
    assert "'steam' is none of plain, " in result.stderr


@pytest.mark.parametrize("budget", ["0", "-1", "soon"])
def test_a_budget_is_a_positive_number(budget: str) -> None:
    assert run("--budget", budget).exit_code == 2


def test_the_help_tells_the_exit_statuses() -> None:
    told = run("--help").stdout
    assert "Exit status:" in told
    assert "mungos demo --budget 300" in told


class GoneAfter(io.StringIO):
    """A pipe whose reader goes away."""

    def write(self, text: str) -> int:
        if self.tell() > 1000:
            raise BrokenPipeError
        return super().write(text)


def test_a_log_that_nobody_reads_ends_the_run() -> None:
    play = Demo([None], **in_memory())
    with logging_to(GoneAfter(), functools.partial(play.interrupt, signal.SIGPIPE)):
        result = play.play()
    assert result.interrupted == signal.SIGPIPE
    assert set(result.census().values()) == {0}


# The table.


@pytest.fixture
def half_way() -> RunResult:
    pairs = [PairResult(None, None), *(PairResult(*pair) for pair in PAIRS if pair is not None)]
    for name in STEPS[:3]:
        pairs[0].steps[name].state = State.PASSED
        pairs[0].steps[name].seconds = 12.3456
    pairs[0].steps["closes"].state = State.RUNNING
    pairs[0].steps["closes"].progress = "server"
    pairs[0].steps["manager"].state = State.FAILED
    return RunResult(pairs, 30.0)


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_table_fits(half_way: RunResult, width: int, encoding: str) -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = Console(file=file, width=width, force_terminal=True, color_system=None, legacy_windows=False)
    Presentation(half_way, console).print_table()
    drawn = raw.getvalue().decode(encoding)
    assert max(map(len, drawn.splitlines())) <= width
    assert ("… server" if encoding == "utf-8" else "~ server") in drawn
    assert "12346" in drawn
    for engine in ENGINES:
        assert f"{engine} {TIMES if encoding == 'utf-8' else 'x'} {engine}" in drawn


def test_the_command_is_a_click_command() -> None:
    assert isinstance(demo, click.Command)


@pytest.fixture(autouse=True)
def standard_output_is_put_back() -> Iterator[None]:
    before = sys.stdout
    yield
    assert sys.stdout is before


def test_the_wire_of_the_demo_is_the_kernel_unless_said_otherwise() -> None:
    assert Demo([None]).wire is KernelWire
