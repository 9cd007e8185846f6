"""The planted bugs: what each is, and what the lab has to say about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mungos.lab.verdicts import Verdict

__all__ = ["BUGS", "CANNOT_RUN", "DIFFERENT_OUTPUTS", "FOREIGN", "LEFT_OUT", "PROGRAMS", "Bug", "find_bugs"]

PROGRAMS = Path(__file__).with_name("programs")
CANNOT_RUN = 77  # status of a program that finds that it can't show its bug here; its output says why
FOREIGN = "s390x"  # the processor on which bugs of byte order and of signs show themselves

DIFFERENT_OUTPUTS = "different-outputs"  # stands for the rule where two processors are compared

_STALL = 0.7
_DEADLINE = 20.0


@dataclass(frozen=True, slots=True)
class Bug:
    """A program with a planted bug, and its twin without it: the same program, told `repaired`.

    Args:
        name: its class, and a letter where a class has several programs: "B36", "B36c".
        title: what is wrong, in one sentence.
        program: its file in `PROGRAMS`.
        verdict: what the lab has to call the run.
        findings: the rules of which one has to come first; empty when a program's own check tells, and the
            lab must not add anything.
        anywhere: the rule may come behind others: what is certain goes before what is likely.
        stall: seconds; the same for the twin.
        deadline: seconds; the same for the twin.
        pid1: it is process 1 of its namespace.
    """

    name: str
    title: str
    program: str
    verdict: Verdict
    findings: tuple[str, ...] = ()
    anywhere: bool = False
    stall: float = _STALL
    deadline: float = _DEADLINE
    pid1: bool = False

    @property
    def path(self) -> Path:
        """The program's file."""
        return PROGRAMS / self.program

    @property
    def compiled(self) -> bool:
        """It is a program in C."""
        return self.program.endswith(".c")

    @property
    def compared(self) -> bool:
        """It shows itself only where two processors are compared."""
        return DIFFERENT_OUTPUTS in self.findings

    @property
    def own_check(self) -> bool:
        """The program notices the damage itself."""
        return self.verdict is Verdict.FAILED and not self.findings

    @property
    def expectation(self) -> str:
        """What has to be found, in words."""
        if self.own_check:
            return "its own check"
        return " or ".join(self.findings)


def _stalls(name: str, title: str, program: str, *rules: str, pid1: bool = False) -> Bug:
    return Bug(name, title, program, Verdict.STALLED, rules, pid1=pid1)


def _spins(name: str, title: str, program: str, rule: str) -> Bug:
    return Bug(name, title, program, Verdict.SPINNING, (rule,))


def _checks(name: str, title: str, program: str) -> Bug:
    """Fails by its own check."""
    return Bug(name, title, program, Verdict.FAILED)


def _differs(name: str, title: str, program: str) -> Bug:
    """Passes here and there, but not alike."""
    return Bug(name, title, program, Verdict.PASSED, (DIFFERENT_OUTPUTS,))


_PEER = "peer-never-closes"

BUGS: tuple[Bug, ...] = (
    _stalls("B01", "lost wakeup: the flag is tested, then waited for", "b01_lost_wakeup.py", "lost-wakeup"),
    _stalls("B01c", "the same, with a condition variable of C", "b01_lost_wakeup.c", "lost-wakeup"),
    _stalls("B02", "self-pipe closed before the last notify", "b02_closed_wakeup.py", "closed-wakeup"),
    _stalls("B03", "edge-triggered descriptor not drained", "b03_edge_not_drained.py", "hidden-data"),
    _checks("B04", "spurious wakeup taken as an event", "b04_spurious_wakeup.py"),
    Bug(
        "B05",
        "plaintext hidden in TLS, the loop sleeps on the socket",
        "b05_hidden_plaintext.py",
        Verdict.STALLED,
        ("hidden-data",),
        anywhere=True,
    ),
    _spins("B06", "spins while only half a record is buffered", "b06_half_a_record.py", "spin"),
    Bug(
        "B07",
        "reading needs a write, which is not armed",
        "b07_write_not_armed.py",
        Verdict.STALLED,
        ("write-not-armed",),
        anywhere=True,
    ),
    _spins("B08", "write interest never disarmed", "b08_write_never_disarmed.py", "spin"),
    _spins("B08c", "the same, in C", "b08_write_never_disarmed.c", "spin"),
    _checks("B09", "close_notify built but not flushed", "b09_close_notify_not_flushed.py"),
    _stalls("B10", "waits for the peer's end without a deadline", "b10_waits_for_the_peers_end.py", _PEER),
    _checks("B11", "a cut reported as a clean end", "b11_ragged_end.py"),
    _checks("B12", "data after close_notify delivered", "b12_data_after_the_end.py"),
    _stalls("B13", "closed before it was announced, never released", "b13_never_made.py", _PEER),
    _stalls(
        "B14",
        "both ends write first, into small buffers",
        "b14_both_write_first.py",
        "full-pipe",
        "wait-cycle",
    ),
    _checks("B15", "fatal alert lost to a reset over unread data", "b15_alert_lost.py"),
    _checks("B16", "half-close treated as full close", "b16_half_close.py"),
    _stalls(
        "B17", "the answer to a KeyUpdate blocks in a write", "b17_key_update.py", "full-pipe", "wait-cycle"
    ),
    _checks("B18", "raw shutdown below TLS leaks ciphertext upward", "b18_ciphertext_upward.py"),
    Bug("B19", "timer fires on a freed connection", "b19_timer_on_freed.c", Verdict.FAILED, ("crashed",)),
    _stalls("B20", "ping thread outlives its connection", "b20_ping_outlives.py", "thread-at-exit"),
    _checks("B21", "closed twice: hits somebody else's descriptor", "b21_closed_twice.c"),
    _checks("B22", "number used again while registered", "b22_number_used_again.py"),
    _stalls(
        "B23",
        "descriptor leaked on a failed handshake",
        "b23_leak_on_failed_handshake.py",
        "descriptor-leak",
        _PEER,
    ),
    _stalls("B24", "descriptor leaked by the losing attempt", "b24_losing_attempt.py", _PEER),
    _stalls("B25", "connection inherited by a child: no end is sent", "b25_inherited.py", "inherited-end"),
    _stalls(
        "B26", "backlog neither accepted nor reset", "b26_backlog_forgotten.py", "connection-not-accepted"
    ),
    _spins("B27", "accept loop spins without descriptors", "b27_accept_at_emfile.py", "accept-at-emfile"),
    _stalls("B28", "accepted after close()", "b28_accepted_after_close.py", _PEER),
    _stalls("B29", "a non-daemon thread is left", "b29_thread_left.py", "thread-at-exit"),
    _stalls(
        "B30",
        "executor joined at exit before what would stop it",
        "b30_executor_at_exit.py",
        "executor-at-exit",
    ),
    _stalls("B31", "a failing close callback aborts the rest", "b31_failing_callback.py", _PEER),
    _stalls("B32", "list changed while iterated: every second skipped", "b32_every_second_one.py", _PEER),
    _stalls("B33", "connections counted wrong: waits for ever", "b33_counted_wrong.py", "lost-wakeup"),
    _checks("B34", "wait_closed returns at once: data lost", "b34_returns_at_once.py"),
    _stalls("B35", "lock held between read() and close()", "b35_lock_held.py", "lock-held"),
    _stalls("B36", "lock order: manager and connection", "b36_lock_order.py", "lock-order"),
    _stalls("B36c", "the same, with mutexes of C", "b36_lock_order.c", "lock-order"),
    _stalls("B37", "cancellation swallowed in cleanup", "b37_cancel_swallowed.py", "task-never-finishes"),
    _stalls("B38", "iterator over a body not closed on cancel", "b38_body_not_closed.py", _PEER),
    _stalls("B39", "reference cycle: freed only by a late collection", "b39_reference_cycle.py", _PEER),
    _stalls("B40", "stop() called on the loop's own thread", "b40_joins_itself.py", "self-join"),
    _stalls("B41", "stop() waits for a thread in connect()", "b41_blocked_connect.py", "blocked-connect"),
    _stalls("B42", "half-open: the peer vanished, nobody asks", "b42_vanished_peer.py", "half-open-peer"),
    _checks("B43", "short send() ignored at close", "b43_short_send.c"),
    _checks("B44", "SO_LINGER 0 kills the last answer", "b44_linger_zero.py"),
    Bug("B45", "restart fails on TIME_WAIT", "b45_port_in_use.py", Verdict.FAILED, ("port-in-use",)),
    _stalls("B46", "late connect after cancel leaks", "b46_late_connect.py", _PEER),
    _stalls("B47", "deadline on the wall clock, which is set back", "b47_wall_clock.py", "long-sleep"),
    Bug(
        "B48",
        "deadline restarted by each byte",
        "b48_deadline_restarted.py",
        Verdict.TIMED_OUT,
        ("deadline-restarted",),
        deadline=1.5,
    ),
    _checks("B49", "equal idle timers at both ends", "b49_idle_timers_race.py"),
    _checks("B50", "timeout counted in polls, not in time", "b50_counts_polls.py"),
    _checks("B51", "WebSocket Close echoed twice", "b51_close_echoed_twice.py"),
    _checks("B52", "fragments leak into the next message", "b52_fragments_leak.py"),
    _stalls("B53", "chunk terminator not flushed", "b53_terminator_not_flushed.py", "wait-cycle"),
    _checks("B54", "the pool hands out an ended connection", "b54_dead_from_the_pool.py"),
    _checks("B55", "send queued after DISCONNECT", "b55_sent_after_the_end.py"),
    _differs("B56", "length in host byte order", "b56_length_in_host_order.py"),
    _differs("B57", "key exchange in host order, agrees with itself", "b57_limbs_in_host_order.py"),
    _differs("B58", "structure in native alignment", "b58_native_alignment.py"),
    _differs("B58c", "comparison with a signed char", "b58_signed_bytes.c"),
    _checks("B59", "flag published before the data", "b59_flag_before_data.py"),
    _stalls(
        "B60",
        "abort as process 1: waits for its death for ever",
        "b60_abort_as_process_1.c",
        "abort-as-pid1",
        pid1=True,
    ),
    Bug(
        "B61",
        "text of the failure lost in an unflushed pipe",
        "b61_unflushed_failure.c",
        Verdict.FAILED,
        ("unflushed-pipe",),
        anywhere=True,
    ),
    Bug(
        "B62",
        "watchdog ends the wrapper, orphan keeps the port",
        "b62_orphan_keeps_port.py",
        Verdict.LEAKED,
        ("orphan-holds",),
    ),
)

# Classes without a program, and why: the table of the catalogue shows them too.
LEFT_OUT: dict[str, str] = {}


def find_bugs(names: tuple[str, ...] = ()) -> tuple[Bug, ...]:
    """The bugs of these names, in the catalogue's order; a class's name ("B36") means all its programs.

    Args:
        names: in upper or lower case; empty for all.

    Raises:
        LookupError: a name that no bug has.
    """
    wanted = {name.upper() for name in names}
    found = [bug for bug in BUGS if not wanted or {bug.name.upper(), bug.name[:3]} & wanted]
    known = {each for bug in found for each in (bug.name.upper(), bug.name[:3])}
    unknown = sorted(wanted - known)
    if unknown:
        raise LookupError(f"no planted bug is called {', '.join(unknown)}")
    return tuple(found)
