"""What the lab is asked to run, and under which clocks."""

from __future__ import annotations

from collections.abc import Mapping

from mungos.lab.plain import dataclass

__all__ = ["Order"]


@dataclass(frozen=True, slots=True)
class Order:
    """One command to be run under watch.

    Args:
        command: program and arguments.
        deadline: seconds after which it is ended, whatever it does.
        stall: seconds without output and with under 1 % of a CPU, after which it has stalled; with 90 % of a
            CPU and neither output nor I/O for so long, it spins. Both clocks are scaled by `factor`.
        idle_ok: being idle or busy is no fault: only the deadline counts (servers).
        pid1: the command itself is process 1 of its namespace, as in a container without an init.
        terminal: its output is a pseudo-terminal, not two pipes.
        isolated: own PID and network namespace where the kernel allows. Else it shares the machine's
            processes and network, and is only followed as a tree.
        network: "private" (loopback only) or "host"; counts only when isolated.
        grace: seconds between SIGTERM and SIGKILL when it has to be ended.
        retries: how often a run that did not pass is tried again; it can become flaky, never passed.
        directory: where it runs; None for the current one.
        environment: all of its environment; None for that of the lab, and in a record, which keeps none.
        processor: "native" or a Debian architecture that `mungos lab arch add` has built.
        factor: by how much deadline and stall are stretched (measured, for an emulated processor).
        locals: the record keeps the values of variables and arguments in its stacks: passwords, too.
    """

    command: tuple[str, ...]
    deadline: float = 600.0
    stall: float = 60.0
    idle_ok: bool = False
    pid1: bool = False
    terminal: bool = False
    isolated: bool = True
    network: str = "private"
    grace: float = 2.0
    retries: int = 0
    directory: str | None = None
    environment: Mapping[str, str] | None = None
    processor: str = "native"
    factor: float = 1.0
    locals: bool = False
