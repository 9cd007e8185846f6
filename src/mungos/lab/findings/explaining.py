"""From the case to its findings: every rule is asked, causes go before their consequences."""

from __future__ import annotations

from mungos.lab.findings.contract import Case
from mungos.lab.findings.register import RULES, TIERS
from mungos.lab.findings.scene import Scene, scene_of
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["explain"]

MAX_PER_RULE = 4  # findings of one rule; a hundred connections in one state are one story

_TIER = {rule.name: number for number, tier in enumerate(TIERS) for rule in tier}
_RANK = {rule.name: number for number, rule in enumerate(RULES)}
_CAUSES, _PLACES, _CONSEQUENCES, _LAST = 1, 2, 3, len(TIERS) - 1


def explain(case: Case, failed: list[str] | None = None) -> tuple[Finding, ...]:
    """Why it did not end, or what it left.

    Args:
        case: the run, with its autopsy where a clock ran out or processes were left.
        failed: takes what went wrong with a rule, as a sentence: the others are asked all the same. Without
            it that is raised.

    Returns:
        Findings, the most fundamental cause first, each once; none for a run that passed.
    """
    if case.verdict in (Verdict.PASSED, Verdict.NOT_STARTED):
        return ()
    scene = scene_of(case)
    all_found: list[Finding] = []
    for rule in RULES:
        if _TIER[rule.name] == _LAST and any(_TIER[f.rule] < _LAST - 1 for f in all_found):
            continue
        kept = 0
        try:
            for finding in rule.examine(case):
                if kept < MAX_PER_RULE and not any(_same(finding, other) for other in all_found):
                    all_found.append(finding)
                    kept += 1
        except Exception as error:
            if failed is None:
                raise
            failed.append(f"the rule {rule.name} failed: {type(error).__name__}: {str(error)[:200]}")
    explained = {finding.pid for finding in all_found if _TIER[finding.rule] <= _CAUSES}
    shown = [f for f in all_found if _TIER[f.rule] != _PLACES or f.pid not in explained]
    return tuple(sorted(shown, key=lambda finding: _order(scene, finding)))


def _same(finding: Finding, other: Finding) -> bool:
    """Whether they say the same of the same thread."""
    return (finding.rule, finding.pid, finding.who, finding.title) == (
        other.rule,
        other.pid,
        other.who,
        other.title,
    )


def _order(scene: Scene, finding: Finding) -> tuple[int, int, int, int]:
    """Tier first; within one, who waits for nobody before who waits for it; then the rules' own order."""
    tier = _TIER[finding.rule]
    height = scene.height(finding.pid) if tier in (_PLACES, _CONSEQUENCES) and finding.pid else 0
    return tier, height, _RANK[finding.rule], finding.certainty != "certain"
