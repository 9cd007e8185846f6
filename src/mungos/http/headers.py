"""Fields of messages: those received, by name without regard to case, and those sent, checked and written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from mungos.checking import kind_of
from mungos.errors import Misuse
from mungos.printable import quoted

__all__ = ["NO_FIELDS", "NO_HEADERS", "FieldLines", "Headers", "encode_fields", "list_of_tokens"]

FieldLines = Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
"""Fields to send: pairs of name and value, all text or all bytes, in order; repeated names are kept."""

NO_FIELDS: Final[FieldLines] = ()
"""No fields to send."""

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")  # RFC 9110 section 5.5: no CR, LF or NUL can split a message

# Fields that decide where a message ends or whether the connection goes on: the session writes them itself.
_MANAGED: Final = frozenset(
    {"connection", "content-length", "date", "expect", "host", "keep-alive", "transfer-encoding"}
)

_STRINGS: Final = (str, bytes, bytearray)

# Names of fields sent, once checked; an application has a handful of them, and the bound stands if not.
_checked_names: dict[str, str] = {}
_MOST_CHECKED_NAMES: Final = 512


class Headers:
    """Fields in the order of the message, found by name without regard to case.

    Attributes:
        fields: pairs of name and value as they came, repeated ones included.
    """

    __slots__ = ("_table", "fields")

    def __init__(self, fields: list[tuple[str, str]], table: dict[str, str] | None = None) -> None:
        """Wrap `fields`; `table` holds values by lower-case name where the parser has made it already."""
        self.fields = fields
        if table is None:
            table = {}
            for name, value in fields:
                key = name.lower()
                table[key] = f"{table[key]}, {value}" if key in table else value
        self._table = table

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of `name`; values of repeated fields are joined by commas (RFC 9110 section 5.3), but of
        Set-Cookie it is the first (see `get_all`)."""
        value = self._table.get(name)
        return value if value is not None else self._table.get(name.lower(), default)

    def get_all(self, name: str) -> list[str]:
        """The values of all fields called `name`, in order."""
        key = name.lower()
        return [value for each, value in self.fields if each.lower() == key] if key in self._table else []

    def tokens(self, name: str) -> list[str]:
        """The members of a list of tokens, in lower case (`Connection`, `Upgrade`, ...)."""
        value = self.get(name)
        return list_of_tokens(value) if value else []

    def items(self) -> Iterator[tuple[str, str]]:
        """Pairs of lower-case name and value, in order."""
        return ((name.lower(), value) for name, value in self.fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._table

    def __getitem__(self, name: str) -> str:
        return self._table[name.lower()]

    def __len__(self) -> int:
        return len(self.fields)

    def __eq__(self, other: object) -> bool:
        return list(self.items()) == list(other.items()) if isinstance(other, Headers) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({quoted(self.fields)})"


NO_HEADERS: Final = Headers([])
"""The empty section, shared."""


def list_of_tokens(value: str) -> list[str]:
    """The members of a comma-separated list, in lower case, empty ones left out (RFC 9110 section 5.6.1)."""
    return [token for part in value.lower().split(",") if (token := part.strip(" \t"))]


def encode_fields(fields: FieldLines) -> tuple[bytes, dict[str, str]]:
    """Check and write the fields of a message to send.

    Returns:
        The lines, and apart from them, by lower-case name, the fields that a session writes itself.

    Raises:
        Misuse: they are no pairs, a name is no token, or a value holds a control byte: it would split the
            message.
    """
    lines: list[str] = []
    managed: dict[str, str] = {}
    pair: object = fields
    try:
        for pair in fields:
            if isinstance(pair, _STRINGS):
                raise _no_pair(pair)
            raw_name, raw_value = pair
            name = raw_name if isinstance(raw_name, str) else str(raw_name, "latin-1")
            value = raw_value if isinstance(raw_value, str) else str(raw_value, "latin-1")
            key = _checked_names.get(name) or _check_name(name)
            if _VALUE.fullmatch(value) is None:
                raise _bad_value(name, value)
            if key in _MANAGED:
                value = value.strip(" \t")
                managed[key] = f"{managed[key]}, {value}" if key in managed else value
            else:
                lines.append(f"{name}: {value}\r\n")
    except (TypeError, ValueError) as error:  # it is no collection, or its members are no pairs of text
        raise _no_pair(pair) from error
    return "".join(lines).encode("latin-1"), managed


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        # A whole line may have been given for the name: what stands behind it may be a password.
        right = _NAME.match(name)
        at = right.end() if right is not None else 0
        wrong = f"{name[at]!r} (character {at + 1})" if name else "nothing at all"
        raise Misuse(f"not a field name, {quoted(name[:at])} and then {wrong} (RFC 9110 section 5.1)")
    key = name.lower()
    if len(_checked_names) < _MOST_CHECKED_NAMES:
        _checked_names[name] = key
    return key


def _no_pair(given: object) -> Misuse:
    return Misuse(
        f'fields are pairs of name and value, all str or all bytes: write (("X-Name", "value"),), '
        f"not {kind_of(given)}"  # which may hold a password
    )


def _bad_value(name: str, value: str) -> Misuse:
    # Only where it is bad: the value may be a password.
    at = _VALUE.match(value).end()  # type: ignore[union-attr]  # it matches the empty text
    return Misuse(
        f"field {name}: a value holds latin-1 text without control bytes, not {value[at]!r} "
        f"(character {at + 1})"
    )
