"""Domain names: as text, as labels, and on the wire with compression (RFC 1035 sections 2.3, 3.1 and
4.1.4)."""

from __future__ import annotations

from mungos.errors import Malformed, Misuse
from mungos.printable import quoted

__all__ = [
    "MAX_LABEL_OCTETS",
    "MAX_NAME_OCTETS",
    "MAX_POINTERS",
    "Name",
    "NameReader",
    "Offsets",
    "check_host",
    "folded",
    "name_from_text",
    "name_to_text",
    "read_name",
    "write_name",
]

Name = tuple[bytes, ...]
"""The labels of a name, the root's empty one left out: `(b"www", b"example", b"com")`; the root is `()`."""

Offsets = dict[Name, int]
"""Where in a message each name (folded) was written, for compression."""

MAX_LABEL_OCTETS = 63
"""Octets of a label (RFC 1035 section 2.3.4)."""

MAX_NAME_OCTETS = 255
"""On the wire, with every length octet and the root's (RFC 1035 section 2.3.4)."""

MAX_POINTERS = 127
"""Compression pointers followed in one name: a name has at most 127 labels, so more are never needed."""

_MAX_HOST_CHARACTERS = 253
_POINTER = 0xC0
_LAST_POINTER_TARGET = 0x3FFF
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


def check_host(text: str) -> str:
    """Check a host name and return it in lower case, a final dot kept.

    Labels of 1 to 63 letters, digits, `-` and `_` (not in the DNS grammar for hosts, but in use), none
    beginning with `-`, 253 characters in all without the final dot. Names in other scripts must be written as
    A-labels: the standard library's codec follows IDNA 2003, which turns some names into those of other
    hosts. A name whose last label is a number ("127.1", "0x7f.1") is refused, since others read it as an IPv4
    address.

    Raises:
        Misuse: naming what is wrong with the host.
    """
    if not text.isascii():
        raise Misuse(
            f"host {quoted(text)} is not ASCII: write its A-label form (xn--...; the package idna makes it)"
        )
    host = text.lower()
    bare = host[:-1] if host.endswith(".") else host
    if not bare:
        raise Misuse(f"host {text!r} is empty")
    if len(bare) > _MAX_HOST_CHARACTERS:
        raise Misuse(
            f"host {text[:40]!r}... has {len(bare)} characters: at most {_MAX_HOST_CHARACTERS} are allowed"
        )
    labels = bare.split(".")
    for label in labels:
        if not label:
            raise Misuse(f"host {text!r} has an empty label: write single dots between its labels")
        if len(label) > MAX_LABEL_OCTETS:
            raise Misuse(
                f"host {quoted(text)}: a label has {len(label)} octets: at most {MAX_LABEL_OCTETS} can be"
            )
        if label.startswith("-"):
            raise Misuse(f"host {text!r}: label {label!r} begins with '-'")
        if not _HOST_CHARACTERS.issuperset(label):
            raise Misuse(f"host {text!r}: label {label!r} may only hold letters, digits, '-' and '_'")
    last = labels[-1]
    if last.isdigit() or (last.startswith("0x") and set(last[2:]) <= set("0123456789abcdef")):
        raise Misuse(f"host {text!r} ends in a number but is no IPv4 address: write all four decimal parts")
    return host


def name_from_text(text: str) -> Name:
    """The labels of a name written with dots; the final one may be left out, "." and "" are the root.

    Escapes (`\\.`, `\\046`; RFC 1035 section 5.1) are understood. Raises Misuse for empty or overlong labels,
    for names over 255 octets, and for text that is not ASCII.
    """
    if not text.isascii():
        raise Misuse(f"name {quoted(text)} is not ASCII: write its A-label form")
    if text in ("", "."):
        return ()
    if len(text) > 4 * MAX_NAME_OCTETS:
        raise Misuse(
            f"name {text[:40]!r}... has {len(text)} characters: at most {MAX_NAME_OCTETS} octets are allowed"
        )
    labels = [_unescaped(label, text) for label in _split(text)] if "\\" in text else _plain_labels(text)
    if not labels[-1]:
        labels.pop()
    name = tuple(labels)
    for label in name:
        if not 0 < len(label) <= MAX_LABEL_OCTETS:
            raise Misuse(
                f"name {quoted(text)}: a label has {len(label)} octets, 1 to {MAX_LABEL_OCTETS} are allowed"
            )
    if _wire_octets(name) > MAX_NAME_OCTETS:
        raise Misuse(
            f"name {quoted(text)} takes {_wire_octets(name)} octets: at most {MAX_NAME_OCTETS} are allowed"
        )
    return name


def name_to_text(name: Name) -> str:
    """The name with dots, without the final one (the root is "."); octets that are not plain are escaped."""
    if not name:
        return "."
    return ".".join("".join(_escaped(octet) for octet in label) for label in name)


def folded(name: Name) -> Name:
    """The name in ASCII lower case, for comparison (RFC 4343 section 3)."""
    return tuple(map(bytes.lower, name))


class NameReader:
    """Reads the names of one message, each octet of it about once, however the names share their endings.

    Each pointer must lead to before the part of the name that it ends, so that no loop is possible, and at
    most `MAX_POINTERS` are followed. What was read is remembered by the place of each of its labels, so that
    a chain of pointers is followed once; names that lie across one another are read up to twice the message.

    Args:
        message: the whole message; pointers count from its first octet.
    """

    __slots__ = ("_known", "_left", "_message")

    def __init__(self, message: bytes) -> None:
        self._message = message
        # For the place of a label or pointer: its name, how many of the name's labels stand before it, and
        # how many octets of labels and how many pointers come from there on.
        self._known: dict[int, tuple[Name, int, int, int]] = {}
        self._left = 2 * len(message) + MAX_NAME_OCTETS

    def read(self, offset: int) -> tuple[Name, int]:
        """Read the name at `offset`.

        Returns:
            The name, and the offset after it.

        Raises:
            Malformed: where the name leaves the message, a label's type is reserved, a pointer leads forward
                or there are too many, the name is over 255 octets, or names lie across one another.
        """
        message, known = self._message, self._known
        size = len(message)
        labels: list[bytes] = []
        places: list[tuple[int, int, int, int]] = []
        rest: Name = ()
        total = 1  # the root's octet
        after = -1
        segment = position = offset
        pointers = 0
        while True:
            if position >= size:
                raise Malformed(f"name at octet {offset} runs past the end of the message of {size} octets")
            length = message[position]
            if length == 0:
                position += 1
                break
            places.append((position, len(labels), total, pointers))
            if length <= MAX_LABEL_OCTETS:
                end = position + 1 + length
                total += length + 1
                self._left -= length + 1
                if total > MAX_NAME_OCTETS:
                    raise Malformed(f"name at octet {offset} has over {MAX_NAME_OCTETS} octets")
                if end > size:
                    raise Malformed(
                        f"label at octet {position} runs past the end of the message of {size} octets"
                    )
                if self._left < 0:
                    raise Malformed(f"names up to octet {offset} lie across one another")
                labels.append(message[position + 1 : end])
                position = end
                continue
            if length < _POINTER:
                # RFC 1035 section 4.1.4: the combinations 10 and 01 are reserved.
                raise Malformed(f"label at octet {position} has the reserved type {length >> 6:02b}")
            if position + 2 > size:
                raise Malformed(
                    f"pointer at octet {position} runs past the end of the message of {size} octets"
                )
            target = (length << 8 | message[position + 1]) & _LAST_POINTER_TARGET
            pointers += 1
            self._left -= 2
            if after < 0:
                after = position + 2
            # RFC 1035 section 4.1.4: a pointer names a prior occurrence.
            if target >= segment:
                raise Malformed(f"pointer at octet {position} leads forward to octet {target}")
            found = known.get(target)
            if found is not None:
                total += found[2]
                pointers += found[3]
                if total > MAX_NAME_OCTETS:
                    raise Malformed(f"name at octet {offset} has over {MAX_NAME_OCTETS} octets")
            if pointers > MAX_POINTERS:
                raise Malformed(f"name at octet {offset} has over {MAX_POINTERS} pointers")
            if found is not None:
                rest = found[0][found[1] :]
                break
            segment = position = target
        name = (*labels, *rest) if labels else rest
        for place, index, octets, before in places:
            known[place] = (name, index, total - octets, pointers - before)
        return name, position if after < 0 else after


def read_name(message: bytes, offset: int) -> tuple[Name, int]:
    """Read a single name, as `NameReader.read` does."""
    return NameReader(message).read(offset)


def write_name(buffer: bytearray, name: Name, offsets: Offsets | None = None) -> None:
    """Append a name.

    Args:
        buffer: the message so far, from its first octet.
        name: a name within the limits of `name_from_text`.
        offsets: where names were written before; used and added to. None writes the name without compression.
    """
    key = folded(name) if offsets is not None else name
    for index, label in enumerate(name):
        if offsets is not None:
            suffix = key[index:]
            target = offsets.get(suffix)
            if target is not None:
                buffer += (_POINTER << 8 | target).to_bytes(2, "big")
                return
            if len(buffer) <= _LAST_POINTER_TARGET:
                offsets[suffix] = len(buffer)
        buffer.append(len(label))
        buffer += label
    buffer.append(0)


def _wire_octets(name: Name) -> int:
    return 1 + len(name) + sum(map(len, name))


def _plain_labels(text: str) -> list[bytes]:
    return text.encode("ascii").split(b".")


def _split(text: str) -> list[str]:
    labels = [""]
    escaped = False
    for character in text:
        if character == "." and not escaped:
            labels.append("")
            continue
        labels[-1] += character
        escaped = character == "\\" and not escaped
    return labels


def _unescaped(label: str, text: str) -> bytes:
    octets = bytearray()
    position = 0
    while position < len(label):
        character = label[position]
        position += 1
        if character != "\\":
            octets.append(ord(character))
            continue
        digits = label[position : position + 3]
        if digits[:1].isdigit():
            if len(digits) != 3 or not digits.isdigit() or int(digits) > 255:
                raise Misuse(
                    f"name {quoted(text)}: write an escaped octet as a backslash and three digits up to 255"
                )
            octets.append(int(digits))
            position += 3
        elif digits:
            octets.append(ord(digits[0]))
            position += 1
        else:
            raise Misuse(f"name {quoted(text)} ends in a backslash")
    return bytes(octets)


def _escaped(octet: int) -> str:
    if octet in b'.\\"();@$':
        return "\\" + chr(octet)
    return chr(octet) if 0x21 <= octet <= 0x7E else f"\\{octet:03d}"
