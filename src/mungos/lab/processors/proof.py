"""Prove in a root that its processor is what it claims to be, and measure how much slower it is."""

from __future__ import annotations

import json
import math
import os
import platform as host
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mungos.lab.processors.architectures import (
    NATIVE,
    Architecture,
    Unavailable,
    architecture,
    host_architecture,
)
from mungos.lab.processors.places import Root, find_root
from mungos.lab.processors.running import wrap
from mungos.lab.record import Platform

__all__ = ["WORK", "platform", "prove"]

PATIENCE = 120.0  # seconds for one program in the root

# What Python programs spend their time on, one part after the other. The least of three times counts: noise
# only adds.
WORK = """
import hashlib, json, platform, struct, sys, time
def integers():
    total = 0
    for number in range(60000):
        total = (total * 31 + number) & 0xFFFFFFFF
    return total
def tables():
    return sum({str(number): number * 0.5 for number in range(20000)}.values())
def powers():
    power = 9
    for _ in range(10000):
        power = power * power % (2**255 - 19)
    return power
def packing():
    return b"".join(struct.pack("!IHd", number, number & 0xFFFF, number / 3) for number in range(10000))
def hashing(data=bytes(range(256)) * 20000):
    return hashlib.sha256(data).hexdigest()
seconds, results = {}, []
for work in integers, tables, powers, packing, hashing:
    times = []
    for _ in range(3):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    seconds[work.__name__] = min(times)
    results.append(result)
print(json.dumps({
    "machine": platform.machine(), "byte_order": sys.byteorder, "word_size": struct.calcsize("P") * 8,
    "memory": "little" if struct.pack("=H", 1)[0] else "big", "kernel": platform.release(),
    "python": platform.python_version(), "seconds": seconds,
    "result": hashlib.sha256(repr(results).encode()).hexdigest(),
}))
"""


def _ask(line: Sequence[str], what: str) -> dict[str, object]:
    try:
        done = subprocess.run(  # noqa: S603 - ours
            line, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=PATIENCE, check=False, cwd="/",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{what}: not done after {PATIENCE:g} s") from None
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip() or "nothing was said"
        raise Unavailable(f"{what}: status {done.returncode}: {said}")
    found = json.loads(done.stdout)
    if not isinstance(found, dict):
        raise Unavailable(f"{what}: no answer but {done.stdout!r}")
    return found


def _version(emulator: str | None) -> str | None:
    if emulator is None:
        return None
    said = subprocess.run(  # noqa: S603 - the emulator
        [emulator, "--version"], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    # "qemu-s390x version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"
    words = said.stdout.partition("\n")[0].split()
    return f"{os.path.basename(emulator)} {words[2] if len(words) > 2 else 'of unknown version'}"


def _native() -> Platform:
    return Platform(
        host_architecture(),
        host.machine(),
        sys.byteorder,
        64 if sys.maxsize > 2**32 else 32,
        None,
        1.0,
        host.release(),
    )


def _key(root: Root, emulator: str | None) -> list[object]:
    """What a proof holds for: another root, emulator or kernel wants one of its own."""
    about = os.stat(emulator) if emulator else None
    program = [emulator, about.st_size, about.st_mtime_ns] if about else []
    return [root.built, root.recipe, root.suite, str(root.path), host.release(), host.machine(), *program]


def platform(name: str) -> Platform:
    """Where a command runs that `wrap` wraps, as proven there; the proof is made once for a root and kept.

    Args:
        name: Debian's name of the architecture, or "native".

    Raises:
        Misuse: an unknown architecture.
        Unavailable: there is no root or emulator, or it is not the processor that it should be.
    """
    if name == NATIVE:
        return _native()
    known = architecture(name)
    root = find_root(name)
    kept = _read(root.proof, _key(root, known.emulator()))
    return kept or prove(root)


def prove(root: Root) -> Platform:
    """Prove a root and measure it, done before or not. Raises Unavailable as `platform` does."""
    known = architecture(root.architecture)
    emulator = known.emulator()
    line = wrap(known.name, ("python3", "-S", "-c", WORK), "/", root=root)
    there = _ask(line, f"no proof that {root.path} runs {known.name}")
    _compare(known, there)
    here = _ask((sys.executable, "-I", "-S", "-c", WORK), "the same natively")
    if there["result"] != here["result"]:
        raise Unavailable(f"{known.name} calculates wrongly: {there['result']}, natively {here['result']}")
    factor = _factor(there["seconds"], here["seconds"])
    proven = Platform(
        processor=known.name,
        machine=str(there["machine"]),
        byte_order=str(there["byte_order"]),
        word_size=int(str(there["word_size"])),
        emulator=_version(emulator),
        factor=factor,
        kernel=str(there["kernel"]),
        suite=root.suite,
    )
    _write(root, emulator, proven, there, here)
    return proven


def _factor(there: object, here: object) -> float:
    """By how much it is slower: the geometric mean of the parts; never below 1."""
    if not isinstance(there, dict) or not isinstance(here, dict):
        return 1.0
    logarithms = [math.log(float(there[part]) / max(float(here[part]), 1e-4)) for part in here]
    return max(1.0, round(math.exp(sum(logarithms) / len(logarithms)), 1))


def _compare(known: Architecture, there: dict[str, object]) -> None:
    for what, wanted in (
        ("machine", known.machine), ("byte_order", known.byte_order), ("memory", known.byte_order),
        ("word_size", known.word_size),
    ):  # fmt: skip
        if there.get(what) != wanted:
            named = what.replace("_", " ")
            raise Unavailable(f"this is no {known.name}: its {named} is {there.get(what)!r}, not {wanted!r}")


_FIELDS = ("processor", "machine", "byte_order", "word_size", "emulator", "factor", "kernel", "suite")


def _write(
    root: Root, emulator: str | None, proven: Platform, there: dict[str, object], here: dict[str, object]
) -> None:
    known = {
        "key": _key(root, emulator),
        "proven": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": {name: getattr(proven, name) for name in _FIELDS},
        "python": there["python"],
        "seconds": {"there": there["seconds"], "here": here["seconds"]},
    }
    new = root.proof.with_name(f".{root.proof.name}.{os.getpid()}")
    try:
        new.write_text(json.dumps(known, indent=1) + "\n")
        new.rename(root.proof)
    except OSError:
        # A cache of somebody else's: it is proven again next time.
        new.unlink(missing_ok=True)


def _read(file: Path, key: list[object]) -> Platform | None:
    try:
        known = json.loads(file.read_text())
        return Platform(**known["platform"]) if known["key"] == key else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
