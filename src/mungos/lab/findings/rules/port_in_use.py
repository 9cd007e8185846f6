"""The address was in use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import command, found, listing
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

ADVICE = (
    "Bind port 0 and pass the number on, or set SO_REUSEADDR for a listener after TIME_WAIT (asyncio "
    "and socket.create_server do), and end the process that still listens."
)

_WORDS = re.compile(r"address already in use|EADDRINUSE|\[Errno 98\]", re.IGNORECASE)
_PORT = re.compile(r"(?::|port\D{1,3}|, )(\d{2,5})\b")


def _examine(case: Case) -> Iterator[Finding]:
    if case.verdict is Verdict.PASSED:
        return
    line = next((each for each in reversed(case.lines) if _WORDS.search(each.text)), None)
    if line is None:
        return
    scene = scene_of(case)
    ports = {port for port in _PORT.findall(line.text) if port != "98"}
    held = [
        f"{process.pid} ({command(process.command)}) listens on {each.socket.local}"
        for process in scene.living()
        for each in process.descriptors
        if each.socket is not None
        and each.socket.state == "LISTEN"
        and (not ports or each.socket.local.rpartition(":")[2] in ports)
    ]
    waiting = [
        each.local
        for each in scene.loose
        if each.state == "TIME_WAIT" and (not ports or each.local.rpartition(":")[2] in ports)
    ]
    yield found(
        case,
        RULE.name,
        "The address it wanted was in use"
        + (" by a connection in TIME_WAIT" if waiting and not held else ""),
        next(scene.living(), None),
        evidence=(
            f"its output at {line.at:.1f} s: {line.text.strip()[:120]}",
            *held[:4],
            f"{len(waiting)} connections in TIME_WAIT: {listing(waiting, 3)}" if waiting else "",
        ),
        advice=ADVICE,
    )


RULE = Rule("port-in-use", "the address was in use (who listens, or TIME_WAIT)", _examine)
