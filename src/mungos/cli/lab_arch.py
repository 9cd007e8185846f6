"""`mungos lab arch`: processors on which commands can be run."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from mungos.cli.statuses import Lacking, NotStarted
from mungos.lab.processors.architectures import ARCHITECTURES, Unavailable
from mungos.lab.processors.building import ALWAYS, INCLUDED, add_root
from mungos.lab.processors.mirror import MirrorLacks
from mungos.lab.processors.places import (
    find_root,
    read_root,
    remove_root,
    root_path,
    roots,
    roots_folder,
)
from mungos.lab.processors.proof import platform, prove
from mungos.lab.record import Platform

__all__ = ["arch", "sentence"]

P = ParamSpec("P")
R = TypeVar("R")

_KNOWN = click.Choice(list(ARCHITECTURES))
_SUITE = click.option(
    "--suite", default="", metavar="NAME", help="Debian release; else that of the root that is used."
)


def _say(text: str) -> None:
    click.echo(f"mungos: {text}", err=True)


def _explained(command: Callable[P, R]) -> Callable[P, R]:
    """What can't be had here is said in a line: status 3; 77 where the mirror lacks it."""

    @wraps(command)
    def explained(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return command(*arguments, **options)
        except MirrorLacks as error:
            raise Lacking(str(error)) from None
        except Unavailable as error:
            raise NotStarted(str(error)) from None
        except OSError as error:  # a full disk, a folder that is not ours
            raise NotStarted(f"{error.filename or roots_folder()}: {error.strerror or error}") from None

    return explained


def sentence(proven: Platform) -> str:
    """What was proven, in a line."""
    how = f"emulated by {proven.emulator}" if proven.emulator else "by this machine's processor"
    return (
        f"{proven.processor}: Debian {proven.suite}, machine {proven.machine}, {proven.byte_order}-endian, "
        f"{proven.word_size} bits, {how}, {proven.factor:g} times slower, Linux {proven.kernel}"
    )


def _packages(text: str) -> list[str]:
    """Names with commas between them, or @FILE with one a line."""
    if not text.startswith("@"):
        return [name for name in text.split(",") if name]
    try:
        lines = Path(text[1:]).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"can't read the list of packages {text[1:]}: {error}") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


@click.group(
    epilog="""\b
Examples:
  mungos lab arch add s390x
  mungos lab arch list
  mungos lab run --arch s390x -- python3 -m pytest

The roots are kept in roots/ of $MUNGOS_CACHE, else of mungos/ in $XDG_CACHE_HOME or ~/.cache."""
)
def arch() -> None:
    """Build, list and remove the processors' file systems."""


@arch.command(
    epilog=f"""\b
Always there: {", ".join(ALWAYS)}.
Included: {", ".join(INCLUDED[:6])},
  {", ".join(INCLUDED[6:])}.

\b
Exit status:
  0   it is there, and was proven
  2   wrong usage
  3   it can't be built or run here: the line says what is missing
  77  the mirror answers, and lacks files (404) of every release asked for;
      any other failure of the mirror is 3"""
)
@click.argument("architecture", type=_KNOWN)
@click.option(
    "--mirror", envvar="MUNGOS_DEBIAN_MIRROR", metavar="URL", help="Default: that of this machine's own apt."
)
@click.option(
    "--suite", default="", metavar="NAME", help="Debian release, and no other; else each, newest first."
)
@click.option(
    "--include",
    metavar="LIST",
    help="Debian packages instead of those below, with commas between them, or @FILE with one a line.",
)
@click.option("--rebuild", is_flag=True, help="Also when it is there, built from the same list.")
@_explained
def add(architecture: str, mirror: str | None, suite: str, include: str | None, rebuild: bool) -> None:
    """Build a Debian file system for ARCHITECTURE, and prove that its programs run.

    Packages are unpacked, none of their scripts runs: it takes seconds, and no privilege. What is there
    already, from the same list of packages, is left as it is. A release of which the mirror lacks files is
    passed over for the next older one; after a day it is asked for again.
    """
    wanted = None if include is None else _packages(include)
    root = add_root(architecture, mirror=mirror, suite=suite, include=wanted, rebuild=rebuild, say=_say)
    click.echo(root.path)
    _say(sentence(platform(architecture) if root.path == find_root(architecture).path else prove(root)))


@arch.command("list")
@_explained
def list_() -> None:
    """List what can be had, what is there, and what was proven of it."""
    there = {root.architecture for root in roots()}
    for name, known in ARCHITECTURES.items():
        about = f"{known.byte_order}-endian, {known.word_size} bits"
        state = _state(name) if name in there else f"not built; Debian {', else '.join(known.suites)}"
        click.echo(f"{name:9} {about:22} {state}")
    click.echo(f"in {roots_folder()}")


def _state(name: str) -> str:
    root = find_root(name)
    try:
        proven = f"proven, {platform(name).factor:g} times slower"
    except Unavailable as error:
        proven = f"NOT USABLE: {error}"
    asked = f"{len(root.packages)} packages asked for"
    why = f"; {root.instead}" if root.instead else ""
    return f"Debian {root.suite}, built {root.built[:10]}, {asked}, {proven}{why}"


@arch.command()
@click.argument("architecture", type=_KNOWN)
@_SUITE
@_explained
def remove(architecture: str, suite: str) -> None:
    """Remove the file system of ARCHITECTURE."""
    if not suite and any(root.architecture == architecture for root in roots()):
        suite = find_root(architecture).suite
    path = root_path(architecture, suite)
    if not remove_root(architecture, suite):
        raise NotStarted(f"there is nothing at {path}")
    _say(f"removed {path}")


@arch.command("prove")
@click.argument("architecture", type=_KNOWN)
@_SUITE
@_explained
def prove_(architecture: str, suite: str) -> None:
    """Prove again what ARCHITECTURE is, and measure how much slower it is than this machine."""
    root = read_root(root_path(architecture, suite)) if suite else find_root(architecture)
    if root is None:
        raise NotStarted(f"there is no root at {root_path(architecture, suite)}")
    click.echo(sentence(prove(root)))
