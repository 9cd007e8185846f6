"""How reports say things: times, sizes, the sentence of a verdict."""

from __future__ import annotations

import math

from mungos.lab.record import Attempt, Platform, Record
from mungos.lab.verdicts import Verdict

__all__ = [
    "amount",
    "command_line",
    "count",
    "duration",
    "headline",
    "name_of",
    "on_which",
    "percent",
    "quoted",
    "signal_name",
    "tail_may_be_lost",
    "took",
]

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_")


def duration(seconds: float | None) -> str:
    """A length of time for people: `12 ms`, `1.20 s`, `4 min 5 s`, `2 h 3 min`."""
    if seconds is None or not math.isfinite(seconds):
        return "?"
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds >= 9.995 else f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    if whole < 48 * 3600:
        return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 >= 60 else "")
    return f"{whole // 86400} days" + (f" {whole % 86400 // 3600} h" if whole % 86400 >= 3600 else "")


def on_which(platform: Platform) -> str:
    """A processor, the Debian release of its root, and its emulator: `s390x (Debian bookworm, qemu-…)`."""
    about = [f"Debian {platform.suite}"] if platform.suite else []
    about += [platform.emulator] if platform.emulator else []
    return platform.processor + (f" ({', '.join(about)})" if about else "")


def amount(size: int | None) -> str:
    """A number of bytes for people."""
    if size is None:
        return "?"
    if size < 1024:
        return f"{size} B"
    for unit in ("KiB", "MiB"):
        size_of_unit = 1 << (10 if unit == "KiB" else 20)
        if size < size_of_unit << 10:
            return f"{size / size_of_unit:.1f} {unit}"
    return f"{size / (1 << 30):.1f} GiB"


def percent(share: float) -> str:
    """A share, 0.0 to 1.0, in per cent."""
    return f"{share * 100:.0f} %" if share in {0.0, 1.0} or 0.1 <= share < 0.995 else f"{share * 100:.1f} %"


def count(number: int, what: str, plural: str = "") -> str:
    """`1 process`, `2 processes`."""
    return f"{number} {what if number == 1 else plural or what + 's'}"


def quoted(word: str) -> str:
    """The word as a shell would take it."""
    if word and _PLAIN.issuperset(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def command_line(words: tuple[str, ...]) -> str:
    """The command as one would type it."""
    return " ".join(quoted(word) for word in words)


def name_of(run: Record) -> str:
    """What reports and the history call a run."""
    return run.name or command_line(run.order.command)


def took(run: Record) -> float:
    """Seconds that all attempts of a run took together."""
    return math.fsum(attempt.duration for attempt in run.attempts)


def signal_name(number: int) -> str:
    """`SIGABRT` for 6; `signal 99` when it has no name."""
    import signal  # noqa: PLC0415 - dear at the start, and needed only after a fault

    try:
        return signal.Signals(number).name
    except ValueError:
        first, last = signal.SIGRTMIN, signal.SIGRTMAX
        return f"SIGRTMIN+{number - first}" if first < number <= last else f"signal {number}"


def tail_may_be_lost(run: Attempt) -> bool:
    """Whether a program could have held back output that nobody will ever see: a pipe, and no orderly end."""
    return run.pipes and (run.signal is not None or run.status is None) and bool(run.duration)


def headline(run: Record) -> str:
    """What happened, in one sentence without a full stop; begins with the verdict.

    Args:
        run: with at least one attempt, or none when it could not be started at all.
    """
    verdict = run.verdict
    if not run.attempts:
        return verdict.value
    last = run.attempts[-1]
    if verdict is Verdict.FLAKY:
        passed = next((n for n, each in enumerate(run.attempts, 1) if each.verdict is Verdict.PASSED), 0)
        return f"flaky: {_attempt(run, run.attempts[0])}; passed on attempt {passed} of {len(run.attempts)}"
    text = _attempt(run, last)
    return text if len(run.attempts) == 1 else f"{text} (attempt {len(run.attempts)}; none passed)"


def _attempt(run: Record, attempt: Attempt) -> str:
    order, verdict, after = run.order, attempt.verdict, duration(attempt.duration)
    word = verdict.value
    if verdict is Verdict.FAILED:
        if attempt.signal is not None:
            return f"{word}: {signal_name(attempt.signal)} ended it after {after}"
        return f"{word}: status {attempt.status} after {after}"
    if verdict is Verdict.LEAKED:
        left = count(len(attempt.left), "process", "processes") if attempt.left else "something"
        return f"{word}: it ended with status {attempt.status or 0} after {after} and left {left} running"
    if verdict is Verdict.STALLED:
        stall = duration(order.stall * order.factor)
        moved = "" if attempt.stopped_at is None else f", after the first {duration(attempt.stopped_at)}"
        return f"{word}: no output and hardly any CPU for {stall}{moved}"
    if verdict is Verdict.SPINNING:
        return f"{word}: a CPU is busy for {duration(order.stall * order.factor)} without output or I/O"
    if verdict is Verdict.TIMED_OUT:
        return f"{word}: the deadline of {duration(order.deadline * order.factor)} came"
    if verdict is Verdict.NOT_STARTED:
        return f"{word}: {attempt.problem}" if attempt.problem else word
    return f"{word} in {after}"
