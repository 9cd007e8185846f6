"""The page's raw facts, folded away: processes, threads, descriptors, sockets, stacks, signals."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Autopsy, Process, Stack
from mungos.lab.record import Record
from mungos.lab.reports.facts_text import (
    describe_descriptor,
    describe_signals,
    describe_stack,
    describe_thread,
    describe_timers,
)
from mungos.lab.reports.page_text import cells, table, text
from mungos.lab.reports.wording import amount, count, duration, percent

__all__ = ["about", "facts"]

MOST_STACKS = 100
MOST_FRAMES = 100
MOST_LINES = 500


def facts(autopsy: Autopsy) -> str:
    """All of the autopsy, each kind of fact folded by itself."""
    return "".join(_folds(autopsy))


def about(run: Record) -> str:
    """Under which conditions it ran."""
    order, platform = run.order, run.platform
    rows = [
        ("command", " ".join(order.command)),
        ("deadline", duration(order.deadline * order.factor)),
        ("stall clock", "off" if order.idle_ok else duration(order.stall * order.factor)),
        ("grace", duration(order.grace)),
        ("retries", order.retries),
        ("output", "a pseudo-terminal" if order.terminal else "pipes"),
        ("process 1", "the command itself" if order.pid1 else "not the command"),
        ("network", order.network if order.isolated else "the machine's"),
        ("processor", f"{platform.processor} ({platform.machine})"),
        ("proven there", f"{platform.byte_order}-endian, pointers of {platform.word_size} bits"),
        ("root", f"Debian {platform.suite}" if platform.suite else "none"),
        ("emulator", platform.emulator or "none"),
        (
            "slower by",
            f"{platform.factor:.1f}, and so are the clocks" if platform.factor != 1 else "no factor",
        ),
        ("kernel", platform.kernel),
        ("Mungos", run.version),
    ]
    body = "".join(f"<tr><th>{text(name)}</th><td>{text(value)}</td></tr>" for name, value in rows)
    return _fold(
        "How it was run", "", f'<div class="scroll"><table class="pairs"><tbody>{body}</tbody></table></div>'
    )


def _folds(autopsy: Autopsy) -> Iterator[str]:
    processes = autopsy.processes
    rows = [
        cells(
            [
                each.pid,
                each.inner,
                each.parent,
                each.state,
                duration(each.age),
                duration(each.cpu),
                each.language,
                each.command,
                each.executable,
            ]
        )
        for each in processes
    ]
    heads = ["pid", "sees itself as", "parent", "state", "age", "CPU", "language", "command", "executable"]
    yield _fold("Processes", str(len(processes)), table(heads, rows))
    rows = [
        cells(
            [
                process.pid,
                each.tid,
                each.name,
                each.state,
                "" if each.recent_cpu is None else percent(each.recent_cpu),
                duration(each.cpu),
                describe_thread(each),
                each.wchan,
                "" if each.call is None else f"{each.call.name}({', '.join(map(hex, each.call.arguments))})",
            ]
        )
        for process in processes
        for each in process.threads
    ]
    heads = ["pid", "thread", "name", "state", "CPU now", "CPU", "does", "wait channel", "system call"]
    yield _fold("Threads", str(len(rows)), table(heads, rows))
    yield _stacks(processes)
    rows = [
        cells([process.pid, each.number, each.kind, describe_descriptor(each), each.target])
        for process in processes
        for each in process.descriptors
    ]
    limits = {each.descriptor_limit for each in processes if each.descriptor_limit is not None}
    limit = f", at most {' or '.join(map(str, sorted(limits)))} a process" if limits else ""
    yield _fold("Descriptors", f"{len(rows)}{limit}", table(["pid", "fd", "kind", "what", "target"], rows))
    rows = [
        cells(
            [
                each.state,
                each.family,
                each.kind,
                each.local,
                each.remote,
                amount(each.unread),
                amount(each.unsent),
                each.timer or "none",
            ]
        )
        for each in autopsy.sockets
    ]
    heads = ["state", "family", "kind", "local", "remote", "unread", "unsent", "timer"]
    yield _fold("Sockets that no process holds", str(len(rows)), table(heads, rows))
    rows = [
        cells([each.pid, "; ".join(describe_signals(each)) or "none", "; ".join(describe_timers(each))])
        for each in processes
    ]
    yield _fold("Signals and timers", "", table(["pid", "signals", "timers"], rows))
    yield from _mungos(processes)
    missing = [*autopsy.missing, *(f"{each.pid}: {line}" for each in processes for line in each.missing)]
    if missing:
        items = "".join(f"<li>{text(line)}</li>" for line in missing[:MOST_LINES])
        yield _fold("What could not be had", str(len(missing)), f"<ul>{items}</ul>")


def _stacks(processes: tuple[Process, ...]) -> str:
    stacks = [(process, stack) for process in processes for stack in process.stacks]
    parts = [_stack(process, stack) for process, stack in stacks[:MOST_STACKS]]
    return _fold("Stacks", str(len(stacks)), "".join(parts), opened=0 < len(stacks) <= 4)


def _stack(process: Process, stack: Stack) -> str:
    frames = []
    for frame in stack.frames[:MOST_FRAMES]:
        place = frame.file + (f":{frame.line}" if frame.line is not None else "")
        held = ", ".join(f"{name} = {value}" for name, value in frame.locals)
        known = f"<div class=locals>{text(held)}</div>" if held else ""
        frames.append(f"<li><b>{text(frame.function)}</b> <span>{text(place)}</span>{known}</li>")
    if len(stack.frames) > MOST_FRAMES:
        frames.append(f"<li>and {len(stack.frames) - MOST_FRAMES} more</li>")
    title = f"{process.pid}, {describe_stack(stack)}"
    return f'<h4>{text(title)}</h4><ol class="stack {text(stack.language)}">{"".join(frames)}</ol>'


def _mungos(processes: tuple[Process, ...]) -> Iterator[str]:
    for process in processes:
        own = process.mungos
        if own is None:
            continue
        parts = []
        for title, lines in (
            ("Ledger", own.ledger),
            ("Connections", own.connections),
            ("Last events", own.events),
        ):
            body = "\n".join(text(line) for line in lines[-MOST_LINES:]) or "empty"
            parts.append(f"<h4>{title}</h4><pre>{body}</pre>")
        yield _fold(f"Mungos in {process.pid}", count(own.managers, "manager"), "".join(parts))


def _fold(title: str, more: str, body: str, *, opened: bool = False) -> str:
    if not body:
        return ""
    shown = f" <small>{text(more)}</small>" if more else ""
    return f"<details{' open' if opened else ''}><summary>{text(title)}{shown}</summary>{body}</details>"
