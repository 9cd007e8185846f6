"""Fixtures of the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.tls_papers import Papers


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Certificates as files; see `Papers`."""
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one file, hello.txt."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "hello.txt").write_text("hello\n", encoding="utf-8")
    return folder
