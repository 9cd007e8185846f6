"""Fixtures of the tests that set the built-in TLS engine against programs that are not ours."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.tls_papers import Papers
from tests.peers.tls_programs import Stage, stage


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """An empty folder with a short path: a browser puts a Unix socket in it."""
    with tempfile.TemporaryDirectory(prefix="m-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(name="stage")
def made_stage(time_factor: float) -> Iterator[Stage]:
    with stage(time_factor) as made:
        yield made
