"""What somebody else wrote can't move a cursor."""

from __future__ import annotations

import pytest

from mungos.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 中", "plain é 中"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x9b\u202e\u2028", r"\x9b\u202e\u2028"),
        ("\ud800", r"\ud800"),
    ],
)
def test_printable_escapes_what_moves_a_cursor(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_byte_that_is_no_utf_8_is_shown_as_that_byte() -> None:
    assert printable(b"caf\xe9".decode(errors="surrogateescape")) == r"caf\xe9"


def test_printable_keeps_what_it_is_told_to() -> None:
    assert printable("a\n\x07", keep="\n") == "a\n\\x07"
