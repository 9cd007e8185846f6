"""What the documentation draws and counts is what the code has."""

from __future__ import annotations

import subprocess
import sys
from enum import Enum
from pathlib import Path

import pytest

from mungos import CloseKind
from scripts.state_pictures import DRAWINGS, MARKED, amount, documents, drawn, meanings, picture

ROOT = Path(__file__).parents[2]
HOW = "run make draw"


class Light(Enum):
    RED = "red"
    GREEN = "green"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_docs_pictures_are_those_of_the_tables(path: Path) -> None:
    text = path.read_text("utf-8")
    assert drawn(text) == text, f"{path.name} is stale: {HOW}"


def test_docs_pictures_all_stand_somewhere_once() -> None:
    marks = [found["name"] for path in documents() for found in MARKED.finditer(path.read_text("utf-8"))]
    assert sorted(marks) == sorted(DRAWINGS)


def test_docs_picture_changes_with_its_table() -> None:
    one_way = {Light.RED: frozenset({Light.GREEN}), Light.GREEN: frozenset[Light]()}
    drawing = picture(one_way)  # type: ignore[arg-type]
    assert "    [*] --> red\n    red --> green\n    green --> [*]\n" in drawing
    assert picture({**one_way, Light.GREEN: frozenset({Light.RED})}) != drawing  # type: ignore[dict-item]


def test_docs_a_stale_picture_is_redrawn() -> None:
    text = "before\n<!-- drawn: read-sides -->\nwhat was\n<!-- end -->\nafter\n"
    assert (
        drawn(text) == f"before\n<!-- drawn: read-sides -->\n{DRAWINGS['read-sides']()}<!-- end -->\nafter\n"
    )


def test_docs_check_says_that_all_is_fresh() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "state_pictures.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_docs_meanings_are_read_from_docstrings() -> None:
    text = """Bounds.

    Attributes:
        high, low: bytes, of
            something long.
        last: seconds.

    Raises:
        Misuse: always.
    """
    assert {name: meanings(text)[name] for name in ("high", "low", "last")} == {
        "high": "bytes, of something long.",
        "low": "bytes, of something long.",
        "last": "seconds.",
    }


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (262144, "bytes", "256 KiB"),
        (1 << 24, "bytes", "16 MiB"),
        (1024, "bytes a second", "1 KiB"),
        (10_000, "connections", "10,000"),
        (0.5, "seconds", "0.5 s"),
        (None, "seconds", "none"),
        (False, "whether", "no"),
    ],
)
def test_docs_amounts_are_written_with_units(value: object, unit: str, text: str) -> None:
    assert amount(value, unit) == text


def test_docs_closing_explains_every_kind_of_end() -> None:
    text = (ROOT / "docs" / "closing.md").read_text("utf-8")
    assert [kind.value for kind in CloseKind if f"| `{kind.value}` |" not in text] == []
