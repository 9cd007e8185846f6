"""Other processors: Debian roots, emulation, and where two outputs first differ."""

from __future__ import annotations

from mungos.lab.processors.architectures import (
    ARCHITECTURES,
    NATIVE,
    Architecture,
    Unavailable,
    architecture,
    host_architecture,
)
from mungos.lab.processors.building import INCLUDED, add_root
from mungos.lab.processors.mirror import MirrorLacks, host_mirror
from mungos.lab.processors.places import Root, cache_folder, find_root, remove_root, root_path, roots
from mungos.lab.processors.proof import platform, prove
from mungos.lab.processors.running import wrap

__all__ = [
    "ARCHITECTURES",
    "INCLUDED",
    "NATIVE",
    "Architecture",
    "MirrorLacks",
    "Root",
    "Unavailable",
    "add_root",
    "architecture",
    "cache_folder",
    "find_root",
    "host_architecture",
    "host_mirror",
    "platform",
    "prove",
    "remove_root",
    "root_path",
    "roots",
    "wrap",
]
