"""A time-out that each bit of data restarts: who sends a little now and then is never too late."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls, sources, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

ADVICE = (
    "Take the deadline once, before the loop, and give each wait only what is left of it; or ask for "
    "a least rate."
)

_TRICKLE = 20_000  # bytes of I/O a second, of the whole tree: more is a transfer that goes on
_TURNS = 2  # the time-out has to fit so often into the run


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case) or case.verdict is not Verdict.TIMED_OUT:
        return
    span = case.duration / 2
    late = [sample for sample in case.samples if sample.at >= span]
    moved = sum(sample.io for sample in late)
    if len(late) < 2 or not moved or moved > _TRICKLE * span:
        return
    scene = scene_of(case)
    for process, thread in scene.threads():
        limit = thread.call.timeout if thread.call is not None else None
        if (
            limit is None
            or limit * _TURNS > case.duration
            or calls.name_of(thread) not in calls.READY | calls.READ
        ):
            continue
        if not any(sample.io for sample in late if sample.at >= case.duration - 2 * limit):
            continue
        for each in calls.awaited(process, thread):
            peers = {held.pid for held in scene.opposite(each)} - {process.pid}
            socket = each.socket
            if each.kind not in ("socket", "pipe") or (socket is not None and socket.state == "LISTEN"):
                continue
            if not peers and not (socket is not None and (socket.received_ago or limit) < limit):
                continue
            own = stacks.owned(stacks.python(process, thread))
            line = sources.line_of(case, process, own)
            yield found(
                case,
                RULE.name,
                f"Each bit of data restarts a time-out of {limit:g} s on descriptor {each.number}: it "
                "never runs out",
                process,
                thread,
                waits_for="the rest of what trickles in",
                evidence=(
                    f"a time-out of {limit:g} s did not run out in {case.duration:.1f} s",
                    f"{moved} bytes of I/O in the last {span:.1f} s",
                    f"its line: {line}" if line else "",
                ),
                advice=ADVICE,
                likely=True,
            )
            break


RULE = Rule(
    "deadline-restarted", "each bit of data restarts a time-out, which therefore never runs out", _examine
)
