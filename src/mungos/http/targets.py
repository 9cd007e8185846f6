"""Paths of request targets: percent-decoded once, and never leading upwards."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from mungos.http.errors import Rule, violation
from mungos.printable import quoted

__all__ = ["decode_path", "path_components"]

_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def decode_path(path: str) -> str:
    """Percent-decode a path, once, as UTF-8 (RFC 3986 section 2.1).

    Raises:
        HTTPError: an escape is cut short, a NUL is among the bytes, or they are not UTF-8 (`Rule.PATH`).
    """
    if "%" in path:
        if _BAD_ESCAPE.search(path) is not None:
            raise violation(Rule.PATH, f"an escape is cut short in path {quoted(path)}")
        try:
            path = unquote_to_bytes(path.encode("latin-1")).decode("utf-8")
        except UnicodeDecodeError:
            raise violation(Rule.PATH, f"not UTF-8 in path {quoted(path)}") from None
    if "\0" in path:
        raise violation(Rule.PATH, f"NUL in path {quoted(path)}")
    return path


def path_components(path: str) -> tuple[str, ...]:
    """Decode an absolute path and divide it; the last component is empty where the path ends with a slash.

    "." components and empty ones inside are left out (RFC 3986 section 5.2.4). A backslash is a letter like
    any other: on the systems that this runs on it divides nothing.

    Raises:
        HTTPError: a component is "..", before or after decoding, or the path can't be decoded (`Rule.PATH`).
    """
    components = decode_path(path).split("/")
    if components[0] or len(components) == 1:
        raise violation(Rule.PATH, f"not an absolute path: {quoted(path)}")
    if ".." in components:
        raise violation(Rule.PATH, f"path {quoted(path)} leads upwards")
    last = "" if components[-1] == "." else components[-1]
    return (*(component for component in components[1:-1] if component not in ("", ".")), last)
