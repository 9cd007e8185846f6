"""docs/tls-conformance.md: its generated part fits the catalogue."""

from __future__ import annotations

import re
from pathlib import Path

from mungos.testing.tls import catalogue
from mungos.testing.tls.catalogue import SECTIONS
from mungos.testing.tls.tables import BEGIN, END, SIGNS, into_document
from mungos.testing.tls.verdicts import Verdict

DOCUMENT = (Path(__file__).parents[2] / "docs" / "tls-conformance.md").read_text("utf-8")
GENERATED = DOCUMENT.partition(BEGIN)[2].partition(END)[0]
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in GENERATED.splitlines()
    if line.startswith("| T")
]
HEADS = [line for line in GENERATED.splitlines() if line.startswith("| case |")]


def test_it_has_one_generated_part() -> None:
    assert DOCUMENT.count(BEGIN) == DOCUMENT.count(END) == 1
    assert into_document(DOCUMENT, f"{BEGIN}{GENERATED}{END}") == DOCUMENT


def test_every_case_is_there_once_and_in_order() -> None:
    assert [row[0] for row in ROWS] == [case.id for case in catalogue()]


def test_the_words_are_those_of_the_catalogue() -> None:
    for row, case in zip(ROWS, catalogue(), strict=True):
        assert [cell.replace("\\|", "|") for cell in row[1:3]] == [case.title, case.expected]


def test_one_table_a_section_each_with_the_same_columns() -> None:
    assert re.findall(r"^### ([A-D])\. (.*)$", GENERATED, re.MULTILINE) == list(SECTIONS.items())
    assert len(HEADS) == len(SECTIONS)
    assert len(set(HEADS)) == 1
    columns = HEADS[0].count("|") - 1
    assert all(len(row) == columns for row in ROWS)
    assert "builtin client | builtin server | openssl client | openssl server" in HEADS[0]


def test_no_cell_is_empty_or_failed() -> None:
    known = set(SIGNS.values()) - {SIGNS[Verdict.FAIL]}
    for row in ROWS:
        for cell in row[3:-1]:
            assert cell, row
            assert set(cell) <= known, row


def test_what_is_no_pass_is_explained() -> None:
    heads = [head.split(" ") for head in HEADS[0].split(" | ")[3:-1]]
    for row in ROWS:
        for (engine, role), cell in zip(heads, row[3:-1], strict=True):
            if set(cell) - {SIGNS[Verdict.PASS]}:
                found = re.search(rf"^- {engine} {row[0]} \(.*{role}.*\): .", GENERATED, re.MULTILINE)
                assert found, (engine, role, row[0])
