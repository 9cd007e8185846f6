"""Text for the page: whatever a program printed, it stays text."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from mungos.printable import printable

__all__ = ["cells", "shortened", "table", "text"]

MOST_ROWS = 1000
"""Rows of one table."""

LONG = 20
"""Characters of a cell that may be broken anywhere; shorter ones stay on one line."""


def text(value: object) -> str:
    """Any text as HTML: markup and control characters escaped, for elements and for attributes in quotes."""
    return escape(printable(str(value)), quote=True)


def shortened(value: str, most: int) -> str:
    """At most so many characters; an ellipsis stands for the rest."""
    return value if len(value) <= most else value[: most - 1] + "…"


def cells(values: Iterable[object]) -> str:
    """A row of a table, from text."""
    shown = [text(value) for value in values]
    return (
        "<tr>"
        + "".join(f"<td{' class=long' if len(each) > LONG else ''}>{each}</td>" for each in shown)
        + "</tr>"
    )


def table(heads: Iterable[str], rows: list[str], *, kind: str = "") -> str:
    """A table that scrolls by itself where it is too wide; nothing without rows.

    Args:
        heads: of the columns.
        rows: HTML, each a `<tr>`.
        kind: CSS class.
    """
    if not rows:
        return ""
    shown = rows[:MOST_ROWS]
    if len(rows) > MOST_ROWS:
        shown.append(
            f'<tr><td colspan="99">and {len(rows) - MOST_ROWS} more: the JSON has them all</td></tr>'
        )
    head = "".join(f"<th>{text(name)}</th>" for name in heads)
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(shown)}</tbody></table></div>"
    )
