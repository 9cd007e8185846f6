"""Media types of files, by the endings of their names."""

from __future__ import annotations

from mimetypes import MimeTypes
from typing import Final

__all__ = ["media_type"]

# Over the standard library's own table, which knows nothing of the system's files: the same everywhere.
_OURS: Final = {
    ".avif": "image/avif",
    ".gz": "application/gzip",
    ".js": "text/javascript",  # RFC 9239
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_types: Final = MimeTypes()


def media_type(name: str) -> str:
    """The media type of a file called `name`, text as UTF-8; "application/octet-stream" where unknown."""
    _, dot, ending = name.rpartition(".")
    ending = f".{ending.lower()}" if dot else ""
    found = _OURS.get(ending) or _types.types_map[1].get(ending) or _types.types_map[0].get(ending)
    if found is None:
        return "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") else found
