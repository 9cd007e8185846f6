"""Opening a FIFO waits until somebody opens its other end."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Open the other end first, or open this one with O_NONBLOCK (reading) or O_RDWR, and end the wait when "
    "the peer has ended."
)
_WAITS = ("fifo", "pipe")  # in the kernel function that it waits in


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process, thread in scene_of(case).threads():
        call = thread.call
        if call is None or call.name not in ("open", "openat", "openat2") or thread.state != "S":
            continue
        if not any(word in thread.wchan or word in call.described.lower() for word in _WAITS):
            continue
        yield found(
            case,
            RULE.name,
            "It opens a FIFO whose other end nobody opens",
            process,
            thread,
            waits_for="somebody who opens the other end",
            evidence=(f"wait channel {thread.wchan}" if thread.wchan else "",),
            advice=ADVICE,
        )


RULE = Rule("fifo-opened-alone", "opening a FIFO waits for somebody to open its other end", _examine)
