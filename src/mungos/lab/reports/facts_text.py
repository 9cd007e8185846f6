"""Single facts of an autopsy in words."""

from __future__ import annotations

from mungos.lab.facts import Descriptor, Process, Stack, Thread
from mungos.lab.reports.wording import amount, duration, signal_name

__all__ = [
    "describe_descriptor",
    "describe_signals",
    "describe_stack",
    "describe_thread",
    "describe_timers",
]

MOST_SIGNALS = 8
"""Of one set."""


def describe_thread(thread: Thread) -> str:
    """What it does or waits for, and how long at most."""
    if thread.call is None:
        return "runs" if thread.running else f"in {thread.wchan}" if thread.wchan not in {"", "0"} else "?"
    limit = " (no time-out)" if thread.call.forever else ""
    if thread.call.timeout is not None:
        limit = f" (at most {duration(thread.call.timeout)})"
    return thread.call.described + limit


def describe_descriptor(descriptor: Descriptor) -> str:
    """What is known of it, in a line."""
    if descriptor.pipe is not None:
        pipe = descriptor.pipe
        others = ", ".join(f"{each.pid} ({each.command})" for each in pipe.others) or "nobody"
        return f"{pipe.end} end, {amount(pipe.unread)} of {amount(pipe.capacity)} in it; other end: {others}"
    if descriptor.socket is not None:
        held = descriptor.socket
        if held.state == "LISTEN":
            waiting = f"{held.unread} of {held.unsent} waiting to be accepted"
            return f"{held.family} listens at {held.local}: {waiting}"
        text = f"{held.family} {held.kind} {held.state} {held.local}" + (
            f" → {held.remote}" if held.remote else ""
        )
        text += f", unread {amount(held.unread)}, unsent {amount(held.unsent)}"
        text += f", {held.timer}" if held.timer else ""
        if held.others:
            text += "; with " + ", ".join(f"{each.pid} ({each.command})" for each in held.others)
        return text + ("" if held.peer_known else "; its peer is out of sight")
    if descriptor.epoll:
        watched = ", ".join(
            str(each.descriptor) + ("" if not each.ready else " (ready)") for each in descriptor.epoll
        )
        return f"watches {watched}"
    if descriptor.eventfd is not None:
        return f"counter {descriptor.eventfd}"
    if descriptor.timer is not None:
        within = descriptor.timer.within
        return "not armed" if within is None else f"rings in {duration(within)}"
    return descriptor.target


def describe_stack(stack: Stack) -> str:
    """Which thread, and who says so."""
    name = f" ({stack.name})" if stack.name else ""
    thread = f"thread {stack.thread}" if stack.thread else "a thread"
    return f"{thread}{name}, innermost first, from {stack.source}"


def describe_signals(process: Process) -> list[str]:
    """Pending, blocked and ignored ones, a line for each set that is not empty."""
    sets = process.signals
    named = (("pending", sets.pending), ("blocked", sets.blocked), ("ignored", sets.ignored))
    lines = []
    for word, numbers in named:
        if numbers:
            names = [signal_name(number) for number in sorted(numbers)]
            more = f" and {len(names) - MOST_SIGNALS} more" if len(names) > MOST_SIGNALS else ""
            lines.append(f"{word} {', '.join(names[:MOST_SIGNALS])}{more}")
    return lines


def describe_timers(process: Process) -> list[str]:
    """What will wake it by time, a line each; one that says so when nothing will."""
    lines = []
    for timer in process.timers:
        when = "armed" if timer.within is None else f"in {duration(timer.within)}"
        lines.append(
            f"{timer.kind} {when}" + (f", every {duration(timer.interval)}" if timer.interval else "")
        )
    unseen = process.real_timer is None or any(thread.call is None for thread in process.threads)
    return lines or ["no timer armed" + (", as far as can be seen" if unseen else "")]
