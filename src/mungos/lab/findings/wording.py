"""How findings are worded: processes, threads, times, sizes, in one manner for all rules."""

from __future__ import annotations

from collections.abc import Iterable

from mungos.lab.facts import Holder, Process, Socket, Thread
from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case
from mungos.lab.naming import brief
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["amount", "found", "holders", "hung", "listing", "quiet_since", "signal_name", "stands", "who"]

_IDLE_CPU = 0.01  # share of one CPU below which a tree counts as idle

_SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
    17: "SIGCHLD", 18: "SIGCONT", 19: "SIGSTOP", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU", 23: "SIGURG",
    24: "SIGXCPU", 25: "SIGXFSZ", 26: "SIGVTALRM", 27: "SIGPROF", 28: "SIGWINCH", 29: "SIGIO", 31: "SIGSYS",
}  # fmt: skip


def signal_name(number: int) -> str:
    """SIGTERM for 15."""
    return _SIGNALS.get(number, f"signal {number}")


def hung(case: Case) -> bool:
    """Whether a clock ended it, and its processes were seen before."""
    return case.autopsy is not None and case.verdict in (
        Verdict.STALLED,
        Verdict.SPINNING,
        Verdict.TIMED_OUT,
    )


def command(text: str) -> str:
    """A command line, cut to a sentence's length."""
    return brief(text)


def who(process: Process, thread: Thread | None = None) -> str:
    """`process 812 (./server), thread 813 (worker)`."""
    text = f"process {process.pid} ({command(process.command)})"
    if thread is None or len(process.threads) == 1:
        return text
    stack = stacks.python(process, thread)
    name = (stack.name if stack is not None and stack.name else thread.name) or "unnamed"
    return f"{text}, thread {thread.tid} ({'main' if thread.tid == process.pid else name})"


def holders(some: Iterable[Holder], limit: int = 4) -> str:
    """`812 (sleep 1000) by descriptor 5 and 813 (sh) by descriptor 1`."""
    unique = sorted({(each.pid, each.descriptor): each.command for each in some}.items())
    texts = [f"{pid} ({command(line)}) by descriptor {number}" for (pid, number), line in unique]
    return listing(texts, limit) or "nobody"


def listing(texts: Iterable[str], limit: int = 6) -> str:
    """Words joined by commas; what is beyond the limit is counted."""
    every = list(texts)
    if len(every) > limit:
        every = [*every[:limit], f"{len(every) - limit} more"]
    return " and ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)


def amount(count: int, unit: str) -> str:
    """`1 byte`, `4096 bytes`."""
    return f"{count} {unit}" if count == 1 else f"{count} {unit}{'es' if unit.endswith('s') else 's'}"


def stands(process: Process, thread: Thread) -> str:
    """Where a thread stands, as the kernel and, where there is one, its Python stack show it."""
    call = thread.call
    if call is not None:
        text = call.described or call.name
    elif thread.running:
        text = f"running, {thread.recent_cpu:.0%} of a CPU" if thread.recent_cpu is not None else "running"
    else:
        text = f"waiting in {thread.wchan or 'the kernel'}"
    place = stacks.waits_at(stacks.python(process, thread))
    return f"thread {thread.tid} stands in {text}" + (f", at {place}" if place else "")


def socket_text(socket: Socket) -> str:
    """`127.0.0.1:8000 to 127.0.0.1:41002, ESTABLISHED, 0 bytes unread, 0 bytes unsent`."""
    parts = [f"{socket.local or '(unnamed)'} to {socket.remote or '(unnamed)'}", socket.state]
    if socket.unread is not None:
        parts.append(amount(socket.unread, "byte") + " unread")
    if socket.unsent is not None:
        parts.append(amount(socket.unsent, "byte") + " unsent")
    parts.append(socket.timer or "no timer")
    return ", ".join(parts)


def quiet_since(case: Case) -> float | None:
    """When the last output, I/O or (unless it spins) CPU was seen, seconds since the attempt began."""
    spins = case.verdict is Verdict.SPINNING
    busy = [
        sample.at
        for sample in case.samples
        if sample.output or sample.io or (not spins and sample.cpu >= _IDLE_CPU)
    ]
    times = busy[-1:] + [line.at for line in case.lines[-1:]]
    if times:
        return max(times)
    return 0.0 if case.samples else None


def found(
    case: Case,
    rule: str,
    title: str,
    process: Process | None,
    thread: Thread | None = None,
    *,
    waits_for: str = "",
    evidence: Iterable[str] = (),
    advice: str,
    likely: bool = False,
) -> Finding:
    """A finding, its time and its place filled in from the case."""
    quoted = [text for text in evidence if text]
    if process is not None and thread is not None and not any("stands in" in text for text in quoted):
        quoted.append(stands(process, thread))
    return Finding(
        rule=rule,
        title=title,
        who=who(process, thread) if process is not None else "the command",
        waits_for=waits_for,
        since=quiet_since(case),
        evidence=tuple(quoted),
        advice=advice,
        certainty="likely" if likely else "certain",
        pid=process.pid if process is not None else 0,
    )


def call_of(thread: Thread) -> str:
    """The name of the call it stands in, for a sentence."""
    return calls.name_of(thread) or ("no system call" if thread.running else "the kernel")
