"""`python -m mungos.testing.tls`: what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mungos.testing.tls.__main__ import main
from mungos.testing.tls.tables import BEGIN, END

HERE = "tests.testing_tls.broken_engines:"
QUICKLY = ["--engine", "builtin", "--case", "T63", "--jobs", "1"]


def test_pass_is_0_and_the_table_says_who_truncates(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICKLY, "--plain"]) == 0
    said = capsys.readouterr().out
    assert "T63  FIN without close_notify, unprompted" in said
    assert "✓    builtin client: engine truncated" in said
    assert "builtin: 2 cells, 2 pass, 0 fail" in said


def test_table_by_rich(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    assert main(QUICKLY) == 0
    assert "C. close_notify, FIN, RST" in capsys.readouterr().out


def test_fail_is_1_and_says_what_was_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--engine", HERE + "TRUNCATION_IS_CLEAN", "--case", "t63", "--jobs", "2", "--plain"]) == 1
    said = capsys.readouterr().out
    assert "✗" in said
    assert "expected: the peer's end: 'truncated'" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--case", "T94"], "unknown case T94"),
        (["--section", "E"], "unknown section E"),
        (["--engine", "none"], "unknown TLS engine 'none'"),
        (["--engine", "no.module:HERE"], "there is no engine at no.module:HERE"),
        (["--engine", "json:loads"], "is no factory of engines"),
        (["--jobs", "0"], "at least 1"),
        (["--write", "no-such-file.md"], "no-such-file.md"),
    ],
)
def test_usage_is_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICKLY, "--json", "--role", "server"]) == 0
    said = json.loads(capsys.readouterr().out)
    (cell,) = said["cells"]
    assert cell["engine"] == "builtin"
    assert (cell["case"], cell["role"], cell["cut"], cell["verdict"]) == ("T63", "server", "", "pass")
    (case,) = said["cases"]
    assert case["spec"] == "6.1"


def test_write_replaces_the_generated_part_only(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert main([*QUICKLY, "--write", str(document)]) == 0
    text = document.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| T63 |" in text


def test_help_has_examples_and_the_exit_statuses() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mungos.testing.tls", "--help"], capture_output=True, text=True, check=True
    )
    for words in ("examples:", "--engine mypackage.engine:FACTORY", "exit status:", "  2  the command line"):
        assert words in done.stdout


def test_list_tries_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--section", "B"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 20
