"""Findings: who waits, for whom, since when, and the rule that says so."""

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.explaining import explain
from mungos.lab.findings.register import RULES

__all__ = ["RULES", "Case", "Rule", "explain"]
