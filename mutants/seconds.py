"""A pytest plugin that writes how long each test took into the file that MUNGOS_MUTANTS_SECONDS names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

_seconds: dict[str, float] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Called in every process; the one that starts the others hears of all tests."""
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write them, once."""
    if not hasattr(session.config, "workerinput"):
        Path(os.environ["MUNGOS_MUTANTS_SECONDS"]).write_text(json.dumps(_seconds))
