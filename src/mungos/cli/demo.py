"""`mungos demo`: everything opened, used, closed and accounted for, on this machine."""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import io
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

import click
from rich.console import Console
from rich.live import Live

from mungos.cli.demo_log import logging_to
from mungos.cli.demo_results import PairResult, RunResult
from mungos.cli.demo_scenario import Demo
from mungos.cli.demo_table import WIDTH, Presentation
from mungos.cli.demo_versions import newest_in_common
from mungos.cli.development_certificate import make_development_certificate
from mungos.cli.statuses import NotStarted
from mungos.errors import Misuse
from mungos.tls import Credential
from mungos.tls.engines import all_engines

__all__ = ["demo"]

_REDRAW = 0.1
_PLAIN = "plain"


@click.command(
    epilog="""\b
Examples:
  mungos demo                      everything that can be played here
  mungos demo --log                a line for each step of each connection
  mungos demo --engine builtin     only this engine, with itself
  mungos demo --engine plain       without TLS
  mungos demo --budget 300         on a slow or emulated processor
  mungos demo --json | jq .ok

\b
Exit status:
  0    everything was played and closed within the budget, nothing is left
  1    something failed, hung, leaked or took too long: it is named
  2    wrong usage
  3    it could not start: an engine asked for is missing
  128+N  ended by signal N, with everything closed (^C: 130, SIGTERM: 143)"""
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="NAME",
    help="Play only pairs of these TLS engines, and `plain` if named; may be given several times.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="For everything; each step may take a third of it.",
)
@click.option(
    "--log", "wants_log", is_flag=True, help="Print a line for whatever happens, instead of drawing."
)
@click.option("--json", "wants_json", is_flag=True, help="Print the result as JSON (a log goes to stderr).")
@click.pass_context
def demo(
    ctx: click.Context, engines: tuple[str, ...], budget: float, wants_log: bool, wants_json: bool
) -> None:
    """See Mungos at work on your own machine.

    A WebSocket server and a client talk over loopback, plain and over TLS with each pair of engines that is
    here: messages from a byte to a mebibyte, one sent a byte a frame with pings between, and the closing
    handshake begun by either side and by both at once. Then everything is closed, and the ledger has to be
    empty.
    """
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        # A table that can't be written in full is better than none.
        stdout.reconfigure(errors="backslashreplace")
    pairs, absent = _pairs(engines)
    credential, note = _credential(pairs, insist=bool(engines))
    if note:
        absent.append(note)
        pairs = [pair for pair in pairs if pair is None]
    console = Console(file=stdout, width=None if stdout.isatty() else WIDTH, highlight=False)
    play = Demo(pairs, credential, budget=budget)
    presentation = Presentation(play.result, console, absent)
    live = stdout.isatty() and not wants_log and not wants_json
    log = (sys.stderr if wants_json else stdout) if wants_log else None
    drawing = _drawing(play, presentation, console) if live else contextlib.nullcontext()
    # Whoever reads the log may go away: that is as good as a signal.
    gone = functools.partial(play.interrupt, signal.SIGPIPE)
    with logging_to(log, gone), _signals(play), _last_resort(budget), drawing:
        result = play.play()
    if wants_json:
        json.dump(_as_json(result, absent), stdout, indent=2, ensure_ascii=True)
        stdout.write("\n")
    else:
        if not live:
            presentation.print_table()
        presentation.print_end()
    stdout.flush()
    ctx.exit(128 + result.interrupted if result.interrupted else 0 if result.ok else 1)


def _pairs(wanted: tuple[str, ...]) -> tuple[list[tuple[str, str] | None], list[str]]:
    """What is to be played, and a line on each engine, or two of them, that can't be."""
    known = all_engines()
    names = [engine.name for engine in known]
    unknown = [name for name in wanted if name not in {_PLAIN, *names}]
    if unknown:
        raise click.BadParameter(
            f"{unknown[0]!r} is none of {', '.join([_PLAIN, *names])}", param_hint="--engine"
        )
    missing = [engine for engine in known if not engine.present]
    for engine in missing:
        if engine.name in wanted:
            raise NotStarted(f"the engine {engine.name} can't be used here: {engine.reason}")
    here = [engine.name for engine in known if engine.present and (not wanted or engine.name in wanted)]
    every = [(client, server) for client in here for server in here]
    pairs: list[tuple[str, str] | None] = [pair for pair in every if newest_in_common(*pair)]
    strangers = dict.fromkeys(" and ".join(sorted(pair)) for pair in every if pair not in pairs)
    if not wanted or _PLAIN in wanted:
        pairs.insert(0, None)
    notes = [f"left out: {both} have no version of TLS in common" for both in strangers]
    if not wanted:
        notes += [f"not here: {engine.name} ({engine.reason})" for engine in missing]
    return pairs, notes


def _credential(pairs: list[tuple[str, str] | None], insist: bool) -> tuple[Credential | None, str | None]:
    """A certificate for the server; or none, and why."""
    if pairs == [None]:
        return None, None
    try:
        return make_development_certificate().credential, None
    except Misuse as error:
        if insist:
            raise NotStarted(str(error)) from None
        return None, f"not played: TLS, because {error}"


@contextlib.contextmanager
def _drawing(play: Demo, presentation: Presentation, console: Console) -> Iterator[None]:
    """The table, drawn anew while the demo plays; by this thread: another would stand in the census."""
    drawn = time.monotonic()
    with Live(presentation, console=console, auto_refresh=False) as live:

        def draw() -> None:
            nonlocal drawn
            now = time.monotonic()
            if now - drawn >= _REDRAW:
                drawn = now
                live.refresh()

        play.on_change = draw
        yield
        live.refresh()


@contextlib.contextmanager
def _signals(play: Demo) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, lambda got, _frame: play.interrupt(got)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _last_resort(budget: float) -> Iterator[None]:
    """Should even the loop stand still, the stacks are printed and the process ends with status 1."""
    try:
        faulthandler.dump_traceback_later(budget * 2 + 10, exit=True, file=_stderr())
    except (OSError, ValueError, AttributeError):
        # Standard error is closed, or no file.
        yield
        return
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _stderr() -> TextIO:
    """The process's own, whatever stands in its place."""
    return sys.__stderr__ if sys.__stderr__ is not None else sys.stderr


def _as_json(result: RunResult, absent: list[str]) -> dict[str, object]:
    return {
        "ok": result.ok,
        "seconds": round(result.seconds, 6),
        "budget": result.budget,
        "interrupted": result.interrupted or None,
        "census": result.census(),
        "opened": result.made(),
        "notes": absent,
        "failures": [
            {"pair": each.pair, "step": each.step, "what": each.what, "evidence": list(each.evidence)}
            for each in result.failures
        ],
        "pairs": [_pair_as_json(pair) for pair in result.pairs],
    }


def _pair_as_json(pair: PairResult) -> dict[str, object]:
    agreed, report = pair.negotiated, pair.report
    return {
        "name": pair.name,
        "client": pair.client,
        "server": pair.server,
        "ok": pair.ok,
        "tls": None
        if agreed is None
        else {"version": agreed.version, "suite": agreed.suite, "group": agreed.group},
        "steps": {
            name: {"state": step.state.value, "seconds": round(step.seconds, 6)}
            for name, step in pair.steps.items()
        },
        "connections": pair.connections,
        "bytes_moved": pair.moved,
        "close": None
        if report is None
        else {
            "seconds": round(report.seconds, 6),
            "within": report.within,
            "ends": [str(end) for end in report.ends],
            "census": report.census,
            "left": list(report.left),
            "cancelled_timers": report.cancelled_timers,
        },
    }
