"""Files that commands write: nothing that others have put in the way is followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mungos.cli.program import run

NOWHERE = "https://127.0.0.1:9/"
SOMEBODY = 12345
others = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("kept", encoding="ascii")
    path.chmod(0o644)
    return path


def unchanged(path: Path) -> bool:
    return path.read_text(encoding="ascii") == "kept" and stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_key_log_that_is_a_link_is_refused(
    tmp_path: Path, victim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys").symlink_to(victim)
    assert run(["get", NOWHERE, "--tls-keylog", str(tmp_path / "keys")]) == 3
    assert "it is a link: name the file itself" in capsys.readouterr().err
    assert unchanged(victim)


@others
def test_a_key_log_of_another_user_is_refused(victim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.chown(victim, SOMEBODY, SOMEBODY)
    assert run(["get", NOWHERE, "--tls-keylog", str(victim)]) == 3
    assert "it belongs to another user: name a new file" in capsys.readouterr().err
    assert unchanged(victim)


@others
def test_get_follows_no_link_of_somebody_else(
    tmp_path: Path, victim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = tmp_path / "out"
    link.symlink_to(victim)
    os.chown(link, SOMEBODY, SOMEBODY, follow_symlinks=False)
    assert run(["get", NOWHERE, "-o", str(link)]) == 3
    assert "it is a link that somebody else made" in capsys.readouterr().err
    assert unchanged(victim)
