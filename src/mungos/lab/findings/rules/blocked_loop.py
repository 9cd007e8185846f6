"""An event loop's thread stands in a call that blocks it, inside one of its callbacks."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules import self_join
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.sources import line_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Await instead of blocking (asyncio.sleep, streams, asyncio.Lock), or move the call to a thread "
    "with asyncio.to_thread; debug mode (PYTHONASYNCIODEBUG=1) names slow callbacks."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    themselves = {finding.pid for finding in self_join.RULE.examine(case)}
    for process, thread in scene_of(case).threads():
        stack = stacks.python(process, thread)
        if stack is None or not stacks.in_event_loop(stack) or process.pid in themselves:
            continue
        if thread.running or thread.call is None or not (calls.for_ever(thread) or thread.call.timeout):
            continue
        if thread.call.name.startswith("epoll") and stacks.at(stack.frames[0], "selectors.py"):
            if stacks.depth_of(stack, "asyncio/events.py", "_run") > stacks.depth_of(
                stack, "asyncio/base_events.py"
            ):
                continue
        own = stacks.owned(stack)
        line = line_of(case, process, own)
        yield found(
            case,
            RULE.name,
            f"The event loop stands still: its thread blocks in {thread.call.name}, at {stacks.place(own)}",
            process,
            thread,
            waits_for=thread.call.described or thread.call.name,
            evidence=(f"its line: {line}" if line else "", f"callback: {stacks.waits_at(stack)}"),
            advice=ADVICE,
        )


RULE = Rule("blocked-loop", "an event loop's thread stands in a blocking call inside a callback", _examine)
