"""The command line of `python -m fuzz`."""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from fuzz.catalogue import NAMES, load
from fuzz.guided import available, run_guided
from fuzz.plain import Found, attempt, run_plain
from fuzz.target import Target

__all__ = ["main"]

FINISHED, DEFECT, USAGE = 0, 1, 2
FOLDER = Path(".cache/fuzz")

EPILOG = """\
examples:
  python -m fuzz --list
  python -m fuzz dns-message --seconds 60
  python -m fuzz all --seconds 10               each target in turn
  python -m fuzz dns-message --input FILE       one input again, with its traceback

The driver is atheris where it is installed (guided by coverage), else random mutations that build upon
inputs which end in a new way. Exit status: 0, or 1 for a defect, whose input is kept, or 2 for a wrong
command line.
"""


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m fuzz",
        description="Any bytes into a decoder or a handshake: only typed failures may come of it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("target", nargs="?", metavar="TARGET", help="a name of --list, or all")
    command.add_argument("--list", action="store_true", help="list the targets")
    command.add_argument("--seconds", type=float, default=10.0, help="for each target (default 10)")
    command.add_argument("--driver", choices=("auto", "atheris", "plain"), default="auto")
    command.add_argument("--seed", type=int, default=None, help="of the plain driver; default: a new one")
    command.add_argument(
        "--patience", type=float, default=2.0, help="CPU seconds that one input may take (default 2)"
    )
    command.add_argument("--input", type=Path, metavar="FILE", help="run this input only")
    command.add_argument(
        "--keep", type=Path, default=FOLDER, metavar="FOLDER", help=f"for inputs that fail (default {FOLDER})"
    )
    return command


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit status (see EPILOG)."""
    command = parser()
    options = command.parse_args(arguments)
    if not 0 < options.seconds <= 86_400:
        command.error(f"--seconds {options.seconds:g}: must be more than 0, at most 86,400")
    guided = options.driver == "atheris" or (options.driver == "auto" and available())
    if guided and not available():
        command.error("--driver atheris: not installed")
    if options.list:
        for name in NAMES:
            print(f"{name:22} {load(name).title}")
        return FINISHED
    if options.target is None:
        command.error("name a target, or --list")
    if options.target == "all":
        return run_all(list(NAMES), options, guided=guided)
    if options.target not in NAMES:
        command.error(f"unknown target {options.target!r}; see --list")
    if options.input is not None:
        return replay(load(options.target), options.input.read_bytes(), options.patience)
    if guided:
        run_guided(options.target, options.seconds, options.keep, options.patience)
        return FINISHED
    return run_one(load(options.target), options)


def run_all(names: Sequence[str], options: argparse.Namespace, *, guided: bool) -> int:
    """Each in a process of its own: a peak of memory then tells of one target only."""
    failed = []
    for name in names:
        arguments = [name, "--seconds", str(options.seconds), "--patience", str(options.patience)]
        arguments += ["--driver", "atheris" if guided else "plain", "--keep", str(options.keep)]
        if options.seed is not None:
            arguments += ["--seed", str(options.seed)]
        ended = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "fuzz", *arguments], check=False, timeout=options.seconds * 2 + 300
        )
        if ended.returncode != FINISHED:
            failed.append(name)
    print(f"{len(names)} targets, {len(failed)} with a defect" + (": " + ", ".join(failed) if failed else ""))
    return DEFECT if failed else FINISHED


def run_one(target: Target, options: argparse.Namespace) -> int:
    seed = int.from_bytes(os.urandom(4), "big") if options.seed is None else options.seed
    run = run_plain(target, options.seconds, seed=seed, patience=options.patience)
    print(
        f"{target.name}: {run.inputs:,} inputs, {run.endings} endings, slowest {run.slowest * 1000:.1f} ms "
        f"(--seed {seed})"
    )
    if run.found is None:
        return FINISHED
    options.keep.mkdir(parents=True, exist_ok=True)
    path = options.keep / f"{target.name}-{hashlib.sha256(run.found.data).hexdigest()[:16]}"
    path.write_bytes(run.found.data)
    show(run.found)
    print(f"kept: python -m fuzz {target.name} --input {path}", file=sys.stderr)
    return DEFECT


def replay(target: Target, data: bytes, patience: float) -> int:
    ending = attempt(target, data, patience)
    if isinstance(ending, Found):
        show(ending)
        return DEFECT
    print(f"{target.name}: {ending}")
    return FINISHED


def show(found: Found) -> None:
    traceback.print_exception(found.error)
    print(f"input of {len(found.data)} bytes: {found.data[:200]!r}", file=sys.stderr)
