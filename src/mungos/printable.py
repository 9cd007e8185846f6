"""What somebody else wrote, made harmless for a terminal and a log: no control character, no direction
override, and no more of it than a line should hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = [
    "MAX_LINE_CHARACTERS",
    "MAX_MESSAGE_CHARACTERS",
    "MAX_QUOTED_CHARACTERS",
    "MAX_QUOTED_NAMES",
    "MAX_QUOTED_NAME_BYTES",
    "MAX_SHOWN_CHARACTERS",
    "printable",
    "quoted",
    "quoted_names",
]

MAX_LINE_CHARACTERS = 2000
"""Characters of a line of a log that somebody else had a hand in."""

MAX_MESSAGE_CHARACTERS = 1000
"""Characters of a message about what a peer did, whatever it sent."""

MAX_QUOTED_CHARACTERS = 120
"""Characters or bytes of somebody else's that a message repeats."""

MAX_QUOTED_NAMES = 8
"""Names of a peer's list that an error quotes."""

MAX_QUOTED_NAME_BYTES = 32
"""Bytes of each of them: a name of ALPN has 255 at most, of which a reader needs fewer."""

MAX_SHOWN_CHARACTERS = 60
"""Characters or bytes of an application's value that a message repeats."""


def printable(text: str, *, keep: str = "", most: int | None = None) -> str:
    r"""The text with everything unprintable written as `\n`, `\x1b`, `\u202e`.

    Args:
        text: from anywhere.
        keep: characters that stay as they are.
        most: characters that the result has at most, unless that is fewer than its end takes, which says how
            many the whole has; None: any number.
    """
    over = 0
    if most is not None and len(text) > most:
        over, text = len(text), text[:most]
    if not text.isprintable():
        text = "".join(
            character if character.isprintable() or character in keep else _escaped(character)
            for character in text
        )
    if most is not None and (over or len(text) > most):
        end = f"... ({over or len(text)} characters)"
        text = text[: max(most - len(end), 0)] + end
    return text


def quoted(value: str | bytes | Sequence[object] | None, most: int = MAX_QUOTED_CHARACTERS) -> str:
    """A text, bytes, or a list of them as Python writes them; cut, and then it says how long it is.

    Args:
        value: from anywhere. Only what is shown of it is looked at.
        most: characters or bytes that are repeated, of all elements together.
    """
    if value is None:
        return "None"
    if isinstance(value, str | bytes):
        if len(value) <= most:
            return repr(value)
        return f"{value[:most]!r}... ({len(value)} {'characters' if isinstance(value, str) else 'bytes'})"
    shown: list[str] = []
    for each in value:
        if most <= 0:
            shown.append(f"... ({len(value)} of them)")
            break
        shown.append(
            quoted(each, most) if isinstance(each, str | bytes | list | tuple) else repr(each)[:most]
        )
        most -= len(shown[-1])
    return f"({', '.join(shown)})" if isinstance(value, tuple) else f"[{', '.join(shown)}]"


def quoted_names(names: Iterable[bytes]) -> str:
    """The first names of a peer's list, for the text of an error."""
    shown: list[str] = []
    for name in names:
        if len(shown) == MAX_QUOTED_NAMES:
            return f"{', '.join(shown)}, ..."
        cut = name[:MAX_QUOTED_NAME_BYTES]
        shown.append(repr(cut) + ("..." if len(cut) < len(name) else ""))
    return ", ".join(shown) or "none"


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        # A byte that was no UTF-8, as `surrogateescape` keeps it.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
