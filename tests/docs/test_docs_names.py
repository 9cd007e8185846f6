"""The page on names: its programs print what stands under them, its numbers are the code's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mungos import Limits
from mungos.dns import ResolverConfig
from scripts.state_pictures import amount

PAGE = (Path(__file__).parents[2] / "docs" / "names.md").read_text("utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
WORDS = {
    "an hour": "3,600 s",
    "five minutes": "300 s",
    "ten minutes": "600 s",
    "a minute": "60 s",
    "5 s, and its": "5 s",
}


@pytest.mark.parametrize(("code", "printed"), PROGRAMS, ids=["lookup", "connecting"])
def test_docs_names_programs_print_what_stands_under_them(code: str, printed: str) -> None:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == printed


def test_docs_names_every_program_has_its_output() -> None:
    assert PAGE.count("```python") == len(PROGRAMS) == 2


def test_docs_names_limits_are_those_of_the_code() -> None:
    rows = re.findall(
        r"^\| [^|]+ \| `(Limits|ResolverConfig)\.(\w+)`[^|]* \| ([^|]+) \|$", PAGE, re.MULTILINE
    )
    assert len(rows) == 14
    defaults: dict[str, Limits | ResolverConfig] = {"Limits": Limits(), "ResolverConfig": ResolverConfig()}
    for where, name, told in rows:
        value = getattr(defaults[where], name)
        expected = amount(value, "seconds" if isinstance(value, float) else "")
        for words, seconds in WORDS.items():
            told = told.replace(words, seconds)  # noqa: PLW2901 - the words for a number
        assert told.startswith(expected), name


def test_docs_names_all_of_the_resolvers_limits_are_told() -> None:
    known = set(re.findall(r"`(?:ResolverConfig\.)?(\w+)`", PAGE))
    missing = set(ResolverConfig.__dataclass_fields__) - known
    assert missing <= {"servers", "search", "rotate", "use_stream", "payload_size"}
