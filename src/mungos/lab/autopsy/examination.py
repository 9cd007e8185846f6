"""The autopsy: everything that can be seen of a tree of processes, before any of it is ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace

from mungos.lab.autopsy.answers import Account, folder_of, send
from mungos.lab.autopsy.borrowing import Lender
from mungos.lab.autopsy.descriptors import Surroundings, describe_all
from mungos.lab.autopsy.holders import Holders, entries_of
from mungos.lab.autopsy.interval_timer import ask_interval_timer, can_ask
from mungos.lab.autopsy.memory import Memory
from mungos.lab.autopsy.native_stacks import from_gdb, gdb, gdb_command, real_timers
from mungos.lab.autopsy.network import Network, look
from mungos.lab.autopsy.proc import link, read
from mungos.lab.autopsy.python_stacks import from_py_spy, py_spy
from mungos.lab.autopsy.questions import Command, Question, pose
from mungos.lab.autopsy.scene import Relative, Scene
from mungos.lab.autopsy.socketcall import unwrap
from mungos.lab.autopsy.subject import Subject, Task, look_at, posix_timers, run_time
from mungos.lab.autopsy.system_calls import call_name
from mungos.lab.autopsy.tree import find, orphans, zombies_by_parent
from mungos.lab.autopsy.unix_peers import Peer, ask
from mungos.lab.autopsy.waiting import arguments_of, describe, descriptors_named
from mungos.lab.facts import Autopsy, Descriptor, Process, Socket, Stack, SystemCall, Thread, Timer

__all__ = ["examine"]

MOST_PROCESSES = 512
MOST_UNHELD = 512  # sockets that no process holds
LEAST_LOOK = 0.015  # seconds between the two looks at CPU times
PATIENCE = 0.4  # seconds for a Mungos program's account
PATIENCE_EMULATED = 3.0
AROUND = 0.15  # seconds for a look at all other processes of the machine
DIAGNOSIS = 0.1  # seconds for the kernel to tell who is at the other ends of Unix sockets
DUMP_PAUSE = 0.05  # seconds for processes to print their own stacks
_SOURCELESS = "no stacks: py-spy is not installed"


def examine(
    roots: Sequence[int],
    *,
    at: float,
    init: str,
    own: frozenset[int],
    budget: float,
    workspace: tuple[str, int] | None = None,
) -> Autopsy:
    """Examine the trees below some processes. Nothing is changed in them, and nothing of ours is left.

    Args:
        roots: outer numbers of the processes whose trees are meant, themselves included.
        at: seconds since the run began, for the record.
        init: who is process 1 of their namespace, for the record.
        own: the lab's helpers; they are left out, what stands below them is not.
        budget: seconds that it may take; what comes late is left out and `missing` says so.
        workspace: path and descriptor of the directory in which programs tell of themselves. What names
            another one is not asked: who runs could have mounted there what never answers. None: any
            directory that a process names.
    """
    return _Examination(roots, own, budget, workspace).run(at, init)


class _Examination:
    """One autopsy, step by step: the files first, then what disturbs, least first."""

    def __init__(
        self, roots: Sequence[int], own: frozenset[int], budget: float, workspace: tuple[str, int] | None
    ) -> None:
        self.begin = time.monotonic()
        self.until = self.begin + budget
        self.files_until = self.begin + budget * 0.9  # without them nothing can be judged; stacks are extra
        self.roots = roots
        self.own = own | {os.getpid()}
        self.missing: list[str] = []
        self.subjects: list[Subject] = []
        self.processes: dict[int, Process] = {}
        self.networks: dict[str, Network] = {}
        self.peers: dict[int, Peer] = {}
        self.workspace = workspace
        self.folders: list[int] = []  # opened here

    def run(self, at: float, init: str) -> Autopsy:
        """All of it."""
        kept, left_out = find(self.roots, self.own)
        if len(kept) > MOST_PROCESSES:
            self.missing.append(f"{len(kept) - MOST_PROCESSES} of {len(kept)} processes were not examined")
            kept = kept[:MOST_PROCESSES]
        self.subjects = [look_at(stat, self.files_until) for stat in kept]
        self.own |= {stat.pid for stat in left_out}
        holders = self._holders()
        self._look_at_networks(holders)
        orphaned = orphans(kept, self.roots, self.own, {each.pid: each.inner for each in self.subjects})
        zombies = zombies_by_parent(kept)
        relatives = [
            Relative(each.pid, each.inner, each.stat.parent, each.stat.state, holders.command(each.pid))
            for each in self.subjects
        ]
        locks = read("/proc/locks").decode("utf-8", "replace").splitlines()
        for subject in self.subjects:
            self.processes[subject.pid] = self._process(subject, holders, relatives, locks, orphaned, zombies)
        self._second_look()
        self._real_timers_of_all()
        try:
            self._question()
        finally:
            for each in self.folders:
                os.close(each)
        return Autopsy(
            at=at,
            took=time.monotonic() - self.begin,
            processes=tuple(
                replace(self.processes[each.pid], missing=tuple(each.missing)) for each in self.subjects
            ),
            sockets=self._unheld(),
            init=init,
            missing=tuple(self.missing),
        )

    # What the files say.

    def _holders(self) -> Holders:
        holders = Holders(self.own, {each.pid: each.command for each in self.subjects})
        for each in self.subjects:
            holders.enter(each.pid, each.entries)
        for pid in self.own:
            holders.enter(pid, entries_of(pid, self.files_until)[0])
        # An end that nobody in the tree holds may be held by somebody else.
        if holders.lonely() and not holders.look_around(min(self.files_until, time.monotonic() + AROUND)):
            self.missing.append(
                "not all of the machine's processes were looked at for the other ends of pipes"
            )
        return holders

    def _look_at_networks(self, holders: Holders) -> None:
        ours = link("/proc/self/ns/net")
        inside: dict[str, int] = {}
        for each in self.subjects:
            if each.network:
                inside.setdefault(each.network, each.pid)
        if any(what == "socket" for what, _ in holders.by_inode):
            inside.setdefault(ours, os.getpid())  # what the command inherited was made here
        for identity, pid in inside.items():
            self.networks[identity] = look(pid, identity)
        mine = {entry.inode for each in self.subjects for entry in each.entries if entry.what == "socket"}
        for identity, pid in inside.items():
            network = self.networks[identity]
            if not any(
                row.family == "unix" for inode in mine if (row := network.rows.get(inode)) is not None
            ):
                continue
            found = ask(pid, max(min(DIAGNOSIS, self.files_until - time.monotonic()), 0.01))
            if found is None:
                self.missing.append("the other ends of Unix sockets: the kernel's sock_diag does not answer")
            else:
                self.peers |= found

    def _process(
        self,
        subject: Subject,
        holders: Holders,
        relatives: Sequence[Relative],
        locks: Sequence[str],
        orphaned: frozenset[int],
        zombies: dict[int, tuple[int, ...]],
    ) -> Process:
        pid = subject.pid
        with Memory(pid, subject.word) as memory:
            calls = {task.tid: _call_words(subject, task, memory) for task in subject.tasks}
        first = frozenset().union(
            *(descriptors_named(name, arguments) for _, name, arguments in calls.values() if name)
        )
        own_first = sorted(self.networks.values(), key=lambda each: each.identity != subject.network)
        descriptors, short = describe_all(
            pid, subject.entries, Surroundings(holders, own_first, self.peers), first, self.files_until
        )
        if short:
            subject.missing.append(f"{short} of its descriptors are known by name only")
        threads, waits = self._threads(subject, calls, descriptors, relatives, locks)
        timers = [each.timer for each in descriptors if each.timer is not None]
        timers += [*posix_timers(pid), *waits]
        stat = subject.stat
        return Process(
            pid=pid,
            inner=subject.inner[-1],
            parent=stat.parent,
            orphan=pid in orphaned,
            command=subject.command,
            executable=subject.executable,
            state=stat.state,
            age=subject.age(),
            cpu=stat.cpu,
            threads=tuple(threads),
            signals=subject.signals,
            descriptors=descriptors,
            timers=tuple(timers),
            zombies=zombies.get(pid, ()),
            descriptor_limit=subject.limit,
            emulated=subject.guest.architecture if subject.guest is not None else None,
            language=subject.language,
            group=stat.group,
            session=stat.session,
            descriptors_open=subject.descriptors_open,
            emulator=subject.guest.emulator if subject.guest is not None else None,
        )

    def _threads(
        self,
        subject: Subject,
        calls: dict[int, tuple[int, str, tuple[int, ...]]],
        descriptors: Sequence[Descriptor],
        relatives: Sequence[Relative],
        locks: Sequence[str],
    ) -> tuple[list[Thread], list[Timer]]:
        threads: list[Thread] = []
        waits: list[Timer] = []
        with Memory(subject.pid, subject.word) as memory, Lender(subject.pid) as lender:
            scene = Scene(
                pid=subject.pid,
                inner=subject.inner[-1],
                level=len(subject.inner) - 1,
                machine=subject.machine,
                memory=memory,
                descriptors={each.number: each for each in descriptors},
                threads=subject.threads(),
                relatives=relatives,
                locks=locks,
                ready=lender.ready,
            )
            for task in subject.tasks:
                number, name, arguments = calls[task.tid]
                call: SystemCall | None = None
                if name:
                    scene.thread = task.inner
                    call, left = describe(scene, number, name, arguments)
                    if call.timeout is not None:
                        waits.append(Timer("wait's own time-out", left))
                threads.append(
                    Thread(
                        tid=task.tid,
                        name=task.name,
                        state=task.state,
                        wchan=task.wchan,
                        call=call,
                        running=task.call[:1] == ["running"],
                        cpu=task.cpu,
                        pending=task.pending,
                        blocked=task.blocked,
                    )
                )
            if subject.tasks and not subject.zombie and not memory.readable:
                subject.missing.append("its memory may not be read: arguments behind pointers are not shown")
        return threads, waits

    def _second_look(self) -> None:
        """CPU shares, before anything is asked that would disturb."""
        looked = [task.looked for each in self.subjects for task in each.tasks]
        if not looked:
            return
        rest = max(looked) + LEAST_LOOK - time.monotonic()
        if 0 < rest < self.until - time.monotonic():
            time.sleep(rest)
        for subject in self.subjects:
            process = self.processes[subject.pid]
            shares: dict[int, float] = {}
            for task in subject.tasks:
                now, ran = time.monotonic(), run_time(subject.pid, task.tid, -1.0)
                if ran >= 0:
                    shares[task.tid] = min(max((ran - task.ran) / (now - task.looked), 0.0), 1.0)
            self.processes[subject.pid] = replace(
                process,
                threads=tuple(replace(each, recent_cpu=shares.get(each.tid)) for each in process.threads),
            )

    def _real_timers_of_all(self) -> None:
        """The kernel's list of timers has no owners; but where it has none of a kind, nobody has one."""
        text = read("/proc/timer_list", 4 << 20)
        if b"hrtimer_wakeup" in text or b"tick_" in text:
            if b"it_real_fn" not in text:
                for pid, process in self.processes.items():
                    self.processes[pid] = replace(process, real_timer=False)
                return
        for each in self.subjects:
            if each.zombie or not _may_be_asked(each) or not can_ask(each.word):
                continue
            timers = ask_interval_timer(each.pid)
            if timers is not None:
                process = self.processes[each.pid]
                self.processes[each.pid] = replace(
                    process, real_timer=bool(timers), timers=(*process.timers, *timers)
                )

    def _unheld(self) -> tuple[Socket, ...]:
        """Sockets that no process holds, of the tree's own namespaces; of ours only those on its ports."""
        ports = {
            end.rpartition(":")[2]
            for process in self.processes.values()
            for each in process.descriptors
            if each.socket is not None and each.socket.family in {"inet", "inet6"}
            for end in (each.socket.local, each.socket.remote)
        }
        ours = link("/proc/self/ns/net")
        inside = {each.network for each in self.subjects}
        found: list[Socket] = []
        for identity, network in self.networks.items():
            for row in network.unheld:
                near = {end.rpartition(":")[2] for end in row.ends} & ports
                if identity in inside and (identity != ours or near):
                    found.append(row.bare())
        if len(found) > MOST_UNHELD:
            self.missing.append(f"{len(found) - MOST_UNHELD} sockets without a holder are not listed")
        return tuple(found[:MOST_UNHELD])

    # What the programs say.

    def _question(self) -> None:
        alive = [each for each in self.subjects if not each.zombie]
        spies = self._spies([each for each in alive if each.language == "python" and each.guest is None])
        surgeons = self._surgeons(
            [each for each in alive if each.language == "native" and each.guest is None]
        )
        accounts: dict[int, Account] = {}
        questions: list[Question] = []
        for each in alive:
            if each.lab_directory and each.language == "python" and signal.SIGURG in each.signals.caught:
                folder = self._folder(each)
                if folder < 0:
                    each.missing.append("its own account: the directory that it names for it is not used")
                    continue
                account = Account(each.pid, each.inner[-1], each.stat.started, folder)
                accounts[each.pid] = account
                patience = PATIENCE if each.guest is None else PATIENCE_EMULATED
                questions.append(Question(account.ask, account.answered, patience, spies.get(each.pid)))
        commands = [*spies.values(), *(command for command, _ in surgeons)]
        if commands or questions:
            pose(commands, questions, self.until)
        for each in alive:
            if each.pid in spies:
                self._take_python_stacks(each, spies[each.pid])
            if each.pid in accounts:
                self._take_account(each, accounts[each.pid])
        for command, members in surgeons:
            self._take_native_stacks(command, members)
        self._let_print([each for each in alive if each.language == "python" and each.guest is None])
        for each in alive:
            process = self.processes[each.pid]
            if process.real_timer is None:
                each.missing.append("whether alarm() or setitimer() runs: /proc does not show it")
            if each.guest is not None and not process.stacks:
                each.missing.append("the guest's stacks: its emulator does not show them")

    def _folder(self, subject: Subject) -> int:
        if self.workspace is not None:
            path, folder = self.workspace
            return folder if path == subject.lab_directory else -1
        found = folder_of(subject.pid, subject.lab_directory)
        if found >= 0:
            self.folders.append(found)
        return found

    def _spies(self, subjects: Sequence[Subject]) -> dict[int, Command]:
        program = py_spy() if subjects else None
        if program is None:
            return {}
        return {
            each.pid: Command(
                [program, "dump", "--nonblocking", "--json", "--locals", "--pid", str(each.pid)]
            )
            for each in subjects
        }

    def _surgeons(self, subjects: Sequence[Subject]) -> list[tuple[Command, list[Subject]]]:
        if not subjects:
            return []
        program = gdb()
        fit: list[Subject] = []
        for each in subjects:
            if program is None:
                each.missing.append("native stacks: gdb is not installed")
            elif not each.executable:
                each.missing.append("native stacks: its memory may not be read")
            elif each.tracer:
                each.missing.append(f"native stacks: process {each.tracer} traces it")
            elif any(task.state == "D" for task in each.tasks):
                each.missing.append("native stacks: it waits uninterruptibly, a debugger would wait with it")
            else:
                fit.append(each)
        if program is None or not fit:
            return []
        teams = min(os.cpu_count() or 1, len(fit))
        found = []
        for at in range(teams):
            members = fit[at::teams]
            asked = [
                (each.pid, self.processes[each.pid].real_timer is None and _may_be_asked(each))
                for each in members
            ]
            found.append((Command(gdb_command(program, asked)), members))
        return found

    def _take_python_stacks(self, subject: Subject, command: Command) -> None:
        stacks = from_py_spy(bytes(command.output), subject.threads()) if command.done else ()
        if stacks:
            self._add_stacks(subject, stacks)
        elif not command.done:
            subject.missing.append(f"stacks by py-spy: {command.failed or 'it took too long'}")
        else:
            subject.missing.append(f"stacks by py-spy: {_last_line(command.errors) or 'none'}")

    def _take_account(self, subject: Subject, account: Account) -> None:
        process = self.processes[subject.pid]
        facts = account.facts()
        if facts is None:
            subject.missing.append(
                "its own account: no answer to SIGURG; its main thread does not run Python code"
            )
        self.processes[subject.pid] = replace(process, mungos=facts)
        if not process.stacks:
            self._add_stacks(subject, account.stacks(subject.threads()))

    def _take_native_stacks(self, command: Command, members: Sequence[Subject]) -> None:
        text = command.output.decode("utf-8", "replace")
        stacks, timers = from_gdb(text), real_timers(text)
        for each in members:
            if each.pid in stacks:
                self._add_stacks(each, stacks[each.pid])
            else:
                late = "it took too long" if not command.done else ""
                why = command.failed or late or _last_line(command.errors)
                each.missing.append(f"stacks by gdb: {why or 'none'}")
            if each.pid in timers:
                left, interval = timers[each.pid]
                process = self.processes[each.pid]
                timer = (Timer("ITIMER_REAL", left, interval or None),) if left > 0 else ()
                self.processes[each.pid] = replace(
                    process, real_timer=left > 0, timers=(*process.timers, *timer)
                )

    def _let_print(self, subjects: Sequence[Subject]) -> None:
        """Last of all: a handler for SIGUSR1 in a Python program is most often one that prints stacks."""
        asked = False
        for each in subjects:
            if self.processes[each.pid].stacks:
                continue
            if signal.SIGUSR1 in each.signals.caught and send(each.pid, each.stat.started, signal.SIGUSR1):
                each.missing.append("stacks: it was asked by SIGUSR1 to print them; they stand in its output")
                asked = True
            elif not any("py-spy" in line for line in each.missing):
                each.missing.append(_SOURCELESS)
        if asked:
            time.sleep(max(min(DUMP_PAUSE, self.until - time.monotonic()), 0))

    def _add_stacks(self, subject: Subject, stacks: Sequence[Stack]) -> None:
        process = self.processes[subject.pid]
        self.processes[subject.pid] = replace(process, stacks=(*process.stacks, *stacks))


def _call_words(subject: Subject, task: Task, memory: Memory) -> tuple[int, str, tuple[int, ...]]:
    """Number, name and arguments of the call in which a thread waits; an empty name when it is in none."""
    if len(task.call) < 7 or not task.call[0].isdigit():
        return -1, "", ()
    number = int(task.call[0])
    name, arguments = call_name(subject.machine, number), arguments_of(task.call)
    return number, *unwrap(memory, name, arguments)


def _may_be_asked(subject: Subject) -> bool:
    """Whether it may be had call getitimer(): of our own word size, asleep, with nothing else in the way."""
    return (
        not subject.tracer
        and not subject.confined
        and bool(subject.executable)
        and subject.word == (8 if os.sysconf("SC_LONG_BIT") == 64 else 4)
        and subject.stat.state == "S"
        and not subject.signals.pending - subject.signals.blocked
    )


def _last_line(data: bytearray) -> str:
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("warning:")]
    return lines[-1][:200] if lines else ""
