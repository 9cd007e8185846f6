"""The first place where two runs' outputs differ, found and drawn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Difference", "Output", "draw", "first_difference", "outputs_of"]

STREAMS = (
    "stdout",
    "stderr",
    "terminal",
)  # in this order: what a program prints counts before what it complains of
NAMES = {"stdout": "standard output", "stderr": "standard error", "terminal": "the terminal"}
MARK = "\N{HORIZONTAL ELLIPSIS}"
_BEFORE = 0.4  # of the room for a long line stands before the place
_LEAST_COLUMN = 24  # columns for one text, side by side


@dataclass(frozen=True, slots=True)
class Output:
    """What one run printed.

    Args:
        processor: on which it ran, for the drawing.
        streams: name of each stream and its lines, without their ends.
        ending: how it ended, in words.
    """

    processor: str
    streams: dict[str, tuple[str, ...]]
    ending: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two outputs part.

    Args:
        stream: "stdout", "stderr", "terminal", or "" when only the endings differ.
        line: counted from 1, in what is compared.
        column: characters, from 1.
        byte: in the line as UTF-8, from 1.
        before: the lines before it, alike in both.
        texts: the line in each; None where the output was over.
        after: the lines that follow, in each.
    """

    stream: str
    line: int
    column: int
    byte: int
    before: tuple[str, ...]
    texts: tuple[str | None, str | None]
    after: tuple[tuple[str, ...], tuple[str, ...]]


def outputs_of(processor: str, lines: Iterable[tuple[str, str]], ending: str) -> Output:
    """Sort lines (stream and text) by stream."""
    streams: dict[str, list[str]] = {}
    for stream, text in lines:
        streams.setdefault(stream, []).append(text.rstrip("\r\n"))
    return Output(processor, {name: tuple(found) for name, found in streams.items()}, ending)


def _place(ignored: Sequence[re.Pattern[str]], left: str, right: str) -> int | None:
    """Characters before the first difference; None when there is none but in what is ignored."""
    if left == right:
        return None
    cut = [_blank(ignored, text) for text in (left, right)]
    if cut[0][0] == cut[1][0]:
        return None
    alike = _alike(cut[0][0], cut[1][0])
    # Counted in the left text as it is, not as it was cut.
    places = cut[0][1]
    return places[alike] if alike < len(places) else len(left)


def _alike(left: Sequence[str], right: Sequence[str]) -> int:
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))


def _blank(ignored: Sequence[re.Pattern[str]], text: str) -> tuple[list[str], list[int]]:
    """The text's characters, each ignored part as one that no text has, and where each stood."""
    spans = sorted(found.span() for pattern in ignored for found in pattern.finditer(text) if found[0])
    characters: list[str] = []
    places: list[int] = []
    at = 0
    for start, end in spans:
        if end <= at:
            continue
        characters += text[at:start]
        places += range(at, start)
        if start >= at:
            characters.append("")
            places.append(start)
        at = end
    characters += text[at:]
    places += range(at, len(text))
    return characters, places


def first_difference(
    left: Output, right: Output, *, ignored: Sequence[re.Pattern[str]] = (), context: int = 3
) -> Difference | None:
    """Compare two outputs, each stream for itself, and then how they ended.

    Args:
        left, right: of the two runs.
        ignored: what matches these in a line does not count; a line that is nothing else counts as a line.
        context: how many lines before and after are kept.

    Returns:
        The first difference; None when there is none.
    """
    for stream in STREAMS:
        here, there = left.streams.get(stream, ()), right.streams.get(stream, ())
        for number in range(max(len(here), len(there))):
            one = here[number] if number < len(here) else None
            other = there[number] if number < len(there) else None
            column = 0 if one is None or other is None else _place(ignored, one, other)
            if column is not None:
                after = slice(number + 1, number + 1 + context)
                return Difference(
                    stream, number + 1, column + 1, len((one or "")[:column].encode(errors="replace")) + 1,
                    here[max(0, number - context) : number], (one, other), (here[after], there[after]),
                )  # fmt: skip
    if left.ending != right.ending:
        return Difference("", 0, 0, 0, (), (left.ending, right.ending), ((), ()))
    return None


def draw(found: Difference, left: str, right: str, *, width: int = 120) -> list[str]:
    """The lines that show a difference.

    Args:
        found: the difference.
        left, right: the processors.
        width: columns that there are; two texts that don't fit are cut around the place.
    """
    if not found.stream:
        return [
            f"the outputs are alike, but the ends differ: {left} {found.texts[0]}, {right} {found.texts[1]}"
        ]
    where = f"{left} and {right} differ at line {found.line}, column {found.column} (byte {found.byte}) of "
    where += NAMES[found.stream]
    number = len(str(found.line + len(found.after[0])))
    room = max((width - number - 6) // 2, _LEAST_COLUMN)
    first = found.line - len(found.before)
    rows: list[tuple[str, str | None, str | None]] = [("", left, right)]
    rows += [(str(first + index), text, text) for index, text in enumerate(found.before)]
    column = found.column - 1
    cut = [None if text is None else _window(text, column, room) for text in found.texts]
    rows.append((str(found.line), *(None if each is None else each[0] for each in cut)))  # type: ignore[arg-type]
    caret = next(each[1] for each in cut if each is not None)
    pointer = " " * caret + "^"
    rows.append(("", pointer, pointer))
    for index in range(max(map(len, found.after))):
        texts = [lines[index] if index < len(lines) else None for lines in found.after]
        rows.append((str(found.line + 1 + index), texts[0], texts[1]))
    drawn = [where]
    over = [False, False]
    for label, *texts in rows:
        cells = []
        for side, text in enumerate(texts):
            cells.append(_fit(text, room) if text is not None else "" if over[side] else "(no more output)")
            over[side] = over[side] or text is None
        drawn.append(f"{label:>{number}} | {cells[0]:<{room}} | {cells[1]}".rstrip())
    return drawn


def _fit(text: str, room: int) -> str:
    text = _visible(text)
    return text if len(text) <= room else text[: room - 1] + MARK


def _window(text: str, column: int, room: int) -> tuple[str, int]:
    """The part of a line around a column that fits, and where the column is in it."""
    text = _visible(text)
    start = 0
    if len(text) > room and column > room * (1 - _BEFORE):
        start = min(column - int(room * _BEFORE), max(len(text) - room, 0))
    shown = text[start : start + room]
    if start:
        shown = MARK + shown[1:]
    if start + room < len(text):
        shown = shown[: room - 1] + MARK
    return shown, column - start


def _visible(text: str) -> str:
    """One column for each character: what has none, or moves the cursor, is shown as a stand-in."""
    return "".join(character if character.isprintable() else "\N{MIDDLE DOT}" for character in text)
