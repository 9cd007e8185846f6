"""A server has stopped listening and waits until its last connection is closed; one never is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mungos.lab.findings import calls, sources, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, socket_text
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Close the connections first (Server.close_clients() from Python 3.13, or the writers that were "
    "handed out), give wait_closed a deadline, and count connections in one place."
)

_VERSION = re.compile(r"python3\.(\d+)")


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        main = stacks.main_stack(process)
        thread = next((t for t in process.threads if t.tid == process.pid), None)
        if main is None or thread is None or not calls.for_ever(thread):
            continue
        in_loop = stacks.at(main.frames[0], "selectors.py", "select") and stacks.passes(
            main, "asyncio/base_events.py", "run_until_complete"
        )
        version = next((int(v) for f in main.frames for v in _VERSION.findall(f.file)), None)
        version = version or next((int(v) for v in _VERSION.findall(process.executable)), None)
        if not (in_loop and sources.mentions(case, process, main, ".wait_closed()", "async with ")):
            continue
        if not sources.mentions(case, process, main, "start_server", "create_server", "start_unix_server"):
            continue
        sockets = [e for e in process.descriptors if e.socket is not None and e.socket.kind == "stream"]
        if any(e.socket is not None and e.socket.state == "LISTEN" for e in sockets):
            continue  # it still serves
        open_ones = [
            e
            for e in sockets
            if e.socket is not None
            and e.socket.state in ("ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT1", "FIN_WAIT2")
            and (e.socket.family != "unix" or e.socket.local)
        ]
        if not open_ones or (version is not None and version < 12):
            continue  # before Python 3.12 wait_closed returned at once
        yield found(
            case,
            RULE.name,
            f"A server waits in wait_closed, with {len(open_ones)} "
            f"connection{'s' * (len(open_ones) != 1)} still open",
            process,
            thread,
            waits_for="the end of its connections",
            evidence=(
                "it listens no more",
                *(f"open: descriptor {e.number}, {socket_text(e.socket)}" for e in open_ones[:4] if e.socket),
            ),
            advice=ADVICE,
            likely=True,
        )


RULE = Rule("wait-closed", "a server waits in wait_closed while connections stay open", _examine)
