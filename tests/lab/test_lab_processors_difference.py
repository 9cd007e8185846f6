"""Where two outputs first differ, and how that is drawn."""

from __future__ import annotations

import re
from itertools import pairwise

import hypothesis
import hypothesis.strategies as st
import pytest

from mungos.lab.processors.difference import Difference, Output, draw, first_difference, outputs_of


def printed(*lines: str, stderr: tuple[str, ...] = (), ending: str = "passed", on: str = "native") -> Output:
    both = [("stdout", line) for line in lines] + [("stderr", line) for line in stderr]
    return outputs_of(on, both, ending)


def test_outputs_that_are_alike() -> None:
    assert first_difference(printed("a", "b"), printed("a", "b")) is None
    assert first_difference(printed(), printed()) is None


def test_streams_are_compared_each_for_itself_whatever_came_first() -> None:
    left = outputs_of("native", [("stdout", "a"), ("stderr", "x"), ("stdout", "b")], "passed")
    right = outputs_of("s390x", [("stderr", "x"), ("stdout", "a"), ("stdout", "b")], "passed")
    assert first_difference(left, right) is None


def test_first_difference_has_line_column_and_byte() -> None:
    found = first_difference(printed("one", "zwölf 1", "three"), printed("one", "zwölf 2", "four"))
    assert found == Difference(
        "stdout", 2, 7, 8, ("one",), ("zwölf 1", "zwölf 2"), (("three",), ("four",))
    )  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right", "column"), [("abc", "abcd", 4), ("abcd", "abc", 4), ("", "x", 1), ("x", "", 1)]
)
def test_line_that_is_the_others_beginning(left: str, right: str, column: int) -> None:
    found = first_difference(printed(left), printed(right))
    assert found is not None
    assert (found.line, found.column, found.byte) == (1, column, column)


def test_output_that_is_over_sooner() -> None:
    found = first_difference(printed("a", "b", "c"), printed("a"))
    assert found is not None
    assert (found.line, found.column, found.texts, found.after) == (2, 1, ("b", None), (("c",), ()))


def test_standard_output_counts_before_standard_error() -> None:
    found = first_difference(printed("a", "b", stderr=("x",)), printed("a", "c", stderr=("y",)))
    assert found is not None
    assert (found.stream, found.line) == ("stdout", 2)
    found = first_difference(printed("a", stderr=("x",)), printed("a", stderr=("y",)))
    assert found is not None
    assert found.stream == "stderr"


def test_endings_that_differ_count_last() -> None:
    found = first_difference(printed("a"), printed("a", ending="was ended by signal 6"))
    assert found is not None
    assert draw(found, "native", "s390x") == [
        "the outputs are alike, but the ends differ: native passed, s390x was ended by signal 6"
    ]


def test_what_is_ignored_does_not_count_but_what_stands_beside_it_does() -> None:
    ignored = [re.compile(r"0x[0-9a-f]+"), re.compile(r"\d+ ms")]
    left, right = printed("at 0xab took 7 ms", "x"), printed("at 0xabcdef took 1200 ms", "x")
    assert first_difference(left, right, ignored=ignored) is None
    assert first_difference(left, right) is not None
    found = first_difference(printed("at 0xab: y"), printed("at 0xabcdef: z"), ignored=ignored)
    assert found is not None
    assert found.column == 10
    # Something that is ignored is not nothing.
    assert first_difference(printed("at 0xab"), printed("at "), ignored=ignored) is not None


def test_pattern_that_matches_nothing_in_places_changes_nothing() -> None:
    found = first_difference(printed("ab"), printed("ac"), ignored=[re.compile("x*")])
    assert found is not None
    assert found.column == 2


def test_context_is_as_long_as_asked() -> None:
    lines = [str(number) for number in range(20)]
    changed = [*lines[:10], "other", *lines[11:]]
    for context in (0, 2, 50):
        found = first_difference(printed(*lines), printed(*changed), context=context)
        assert found is not None
        assert found.before == tuple(lines[max(0, 10 - context) : 10])
        assert found.after == (tuple(lines[11 : 11 + context]),) * 2


def test_drawing_shows_both_texts_side_by_side() -> None:
    left = printed("begin", "secret 4a5d", "end")
    right = printed("begin", "secret 692e", "FAILED", on="s390x")
    found = first_difference(left, right)
    assert found is not None
    assert draw(found, "native", "s390x", width=61) == [
        "native and s390x differ at line 2, column 8 (byte 8) of standard output",
        "  | native                      | s390x",
        "1 | begin                       | begin",
        "2 | secret 4a5d                 | secret 692e",
        "  |        ^                    |        ^",
        "3 | end                         | FAILED",
    ]


def test_drawing_of_an_output_that_is_over() -> None:
    found = first_difference(printed("a", "b"), printed("a"))
    assert found is not None
    drawn = draw(found, "native", "s390x", width=61)
    assert drawn[3] == "2 | b                           | (no more output)"


def test_drawing_cuts_long_lines_around_the_place() -> None:
    found = first_difference(printed("x" * 500 + "a" + "y" * 500), printed("x" * 500 + "b" + "y" * 500))
    assert found is not None
    drawn = draw(found, "native", "s390x", width=80)
    assert all(len(line) <= 80 for line in drawn)
    assert "xa" in drawn[2]
    assert drawn[2].index("a") == drawn[3].index("^")


def test_drawing_moves_no_cursor() -> None:
    found = first_difference(printed("a\x1b[2Jb"), printed("a\x1b[2Jc"))
    assert found is not None
    assert all(line.isprintable() for line in draw(found, "native", "s390x"))


@hypothesis.given(
    st.lists(st.text(max_size=12), max_size=5),
    st.lists(st.text(max_size=12), max_size=5),
    st.integers(40, 90),
)
def test_difference_is_the_first_one_and_can_be_drawn(left: list[str], right: list[str], width: int) -> None:
    one, other = printed(*left), printed(*right)
    found = first_difference(one, other, context=2)
    here, there = one.streams.get("stdout", ()), other.streams.get("stdout", ())
    if found is None:
        assert here == there
        return
    assert here[: found.line - 1] == there[: found.line - 1]
    if None not in found.texts:
        texts = [text or "" for text in found.texts]
        assert texts[0][: found.column - 1] == texts[1][: found.column - 1]
        assert texts[0][found.column - 1 : found.column] != texts[1][found.column - 1 : found.column]
    drawn = draw(found, "native", "s390x", width=width)
    numbers = [int(number) for line in drawn[1:] if (number := line.partition(" |")[0].strip())]
    assert all(after == before + 1 for before, after in pairwise(numbers))
