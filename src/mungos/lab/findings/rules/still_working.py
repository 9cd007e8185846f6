"""The deadline came while the program was still at work."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

_IDLE = 0.01  # share of one CPU
_MUCH = 65536  # bytes of output, at which it works even so: it may wait for whoever reads them
ADVICE = (
    "It may just be slow: raise the deadline (or the factor of its processor), or find out why it "
    "does the same again and again."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case) or case.verdict is not Verdict.TIMED_OUT:
        return
    late = [sample for sample in case.samples if sample.at >= case.duration * 0.75]
    told = sum(sample.output for sample in late)
    moved = sum(sample.io for sample in late)
    if not late or not (told or moved) or (max(each.cpu for each in late) < _IDLE and told < _MUCH):
        return
    last = case.lines[-1] if case.lines else None
    yield found(
        case,
        RULE.name,
        f"The deadline of {case.order.deadline * case.order.factor:g} s came while it was still at work",
        next(scene_of(case).living(), None),
        evidence=(
            f"in the last {case.duration - late[0].at:.1f} s: {told} bytes of output, {moved} bytes of I/O, "
            f"{sum(s.cpu for s in late) / len(late):.0%} of a CPU",
            f"last line, at {last.at:.1f} s: {last.text.strip()[:100]}" if last is not None else "",
        ),
        advice=ADVICE,
        likely=True,
    )


RULE = Rule("still-working", "the deadline came while output or I/O still flowed", _examine)
