"""The driver guided by coverage, where atheris is installed."""

from __future__ import annotations

import importlib.util
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from fuzz.catalogue import load
from fuzz.plain import MOST_GROWTH

__all__ = ["available", "run_guided"]


def available() -> bool:
    """Whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def _quoted(word: bytes) -> str:
    """As libFuzzer's dictionaries have it."""
    return '"' + "".join(f"\\x{octet:02x}" for octet in word) + '"\n'


def run_guided(name: str, seconds: float, folder: Path, patience: float) -> None:
    """Fuzz the target of that name in this process, which then ends: with status 0, or not after a defect,
    whose input is left in `folder`. Nothing of mungos may have been imported before."""
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["mungos"]):
        target = load(name)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mungos-fuzz-") as seeds:
        for index, data in enumerate(target.seeds()):
            (Path(seeds) / f"{index:04}").write_bytes(data)
        dictionary = Path(seeds) / "words"
        dictionary.write_text("".join(map(_quoted, target.words)), encoding="ascii")
        arguments = [
            f"fuzz {name}",
            f"-max_total_time={max(1, round(seconds))}",
            f"-max_len={target.longest}",
            f"-timeout={max(1, round(patience * 5))}",
            f"-rss_limit_mb={256 + MOST_GROWTH // 1024}",
            f"-artifact_prefix={folder}/{name}-",
            "-print_final_stats=1",
            seeds,
        ]
        if target.words:
            arguments.insert(1, f"-dict={dictionary}")
        atheris.Setup(arguments, lambda data: (target.run(data), None)[1])
        atheris.Fuzz()
