"""What a Mungos program itself says is still open."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

ADVICE = "Close what the ledger names, or give it a deadline: a manager ends only when its ledger is empty."


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case) and case.verdict is not Verdict.LEAKED:
        return
    for process in scene_of(case).living():
        said = process.mungos
        if said is None or not (said.ledger or said.connections):
            continue
        count = len(said.ledger) or len(said.connections)
        yield found(
            case,
            RULE.name,
            f"Its own ledger still has {count} open entr{'ies' if count != 1 else 'y'}",
            process,
            process.threads[0] if process.threads else None,
            waits_for=said.ledger[0] if said.ledger else said.connections[0],
            evidence=(
                *(f"ledger: {line}" for line in said.ledger[:6]),
                *(f"connection: {line}" for line in said.connections[:6]),
                *(f"event: {line}" for line in said.events[-3:]),
            ),
            advice=ADVICE,
        )


RULE = Rule("ledger-open", "a Mungos program's own ledger names what is still open", _examine)
