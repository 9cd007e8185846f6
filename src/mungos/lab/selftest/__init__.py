"""The lab's test of itself: programs with planted teardown bugs, and what it has to say about each."""

from __future__ import annotations

from mungos.lab.selftest.catalogue import BUGS, Bug, find_bugs
from mungos.lab.selftest.outcome import Outcome, Task
from mungos.lab.selftest.results import Results, Row
from mungos.lab.selftest.runner import selftest

__all__ = ["BUGS", "Bug", "Outcome", "Results", "Row", "Task", "find_bugs", "selftest"]
