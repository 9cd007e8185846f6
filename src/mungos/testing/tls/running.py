"""Cells tried one by one in this process."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Iterable

from mungos.testing.tls.case import Case, Scene
from mungos.testing.tls.catalogue import catalogue
from mungos.testing.tls.explained import explained
from mungos.testing.tls.seats import load
from mungos.testing.tls.stand import Role, Stand
from mungos.testing.tls.verdicts import LibraryDoes, NotApplicable, Outcome, Unmet, Verdict

__all__ = ["OWN", "Cell", "cells", "run_cell"]

OWN = frozenset({"builtin"})
"""Engines of which every decision is this project's: nothing is left to a library."""

_SPANS = (
    (1, 5),
    (8, 10),
    (22, 22),
    (25, 25),
    (29, 32),
    (36, 39),
    (45, 47),
    (51, 52),
    (54, 56),
    (58, 65),
    (69, 71),
    (73, 74),
    (76, 80),
    (82, 82),
    (89, 91),
)
OF_BOTH_VERSIONS = frozenset(f"T{number:02}" for first, last in _SPANS for number in range(first, last + 1))
"""Rows that a library without TLS 1.3 is tried on; the others hold rules of RFC 8446."""

Cell = tuple[str, str, Role, str]
"""Engine, id of the case, role, cut."""


def cells(
    engines: Iterable[str],
    *,
    ids: Iterable[str] = (),
    sections: Iterable[str] = (),
    roles: Iterable[str] = (),
) -> list[Cell]:
    """The cells to be tried, in the order of the catalogue; empty filters let all pass."""
    wanted, letters, sides = set(ids), set(sections), set(roles)
    return [
        (engine, case.id, role, how)
        for engine in engines
        for case in catalogue()
        if (not wanted or case.id in wanted) and (not letters or case.section in letters)
        for role, how in case.cells
        if not sides or role in sides
    ]


def _row(identity: str) -> Case:
    return next(case for case in catalogue() if case.id == identity)


def run_cell(
    engine: str, identity: str, role: Role, how: str = "", *, time_factor: float = 1.0, strict: bool = False
) -> Outcome:
    """Try one cell.

    Args:
        engine: a name, or "package.module:FACTORY".
        identity: the id of the case.
        role: the engine's.
        how: the cut, "" where none belongs to the case.
        time_factor: stretches the deadlines of cells on real sockets.
        strict: nothing is left to a library: what would be its behaviour fails.

    Raises Misuse where there is no such engine.
    """
    case = _row(identity)
    if role in case.elsewhere:
        return Outcome(engine, identity, role, how, Verdict.NOT_APPLICABLE, case.elsewhere[role])
    factory = load(engine)
    if "TLSv1.3" in factory.availability().lacks and identity not in OF_BOTH_VERSIONS:
        reason = "the row is one of TLS 1.3, which the library does not speak"
        return Outcome(engine, identity, role, how, Verdict.NOT_APPLICABLE, reason)
    foreign = not strict and factory.name not in OWN
    began = time.process_time()
    ends: list[str] = []

    def outcome(verdict: Verdict, reason: str = "", wanted: str = "") -> Outcome:
        spent = time.process_time() - began
        told = "; ".join(dict.fromkeys(each for each in ends if each))
        return Outcome(engine, identity, role, how, verdict, reason, wanted, told, spent)

    if not case.run:
        return outcome(Verdict.FAIL, "not built", case.expected)
    skipped: list[str] = []
    does: list[str] = []
    for scene in case.run:
        stand = Stand(factory, role, how, case.wire, foreign=foreign, time_factor=time_factor)
        try:
            _run_scene(stand, scene)
        except NotApplicable as reason:
            skipped.append(str(reason))
        except LibraryDoes as behaviour:
            does.append(str(behaviour))
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is its failure
            seen = error.seen if isinstance(error, Unmet) else f"{type(error).__name__}: {error}"
            wanted = error.wanted if isinstance(error, Unmet) else case.expected
            known = explained(factory.name, identity, role, seen) if foreign else ""
            if not known:
                return outcome(Verdict.FAIL, f"{scene.__name__}: {seen}", wanted)
            does.append(known)
        ends.append(stand.ends())
    if does:
        return outcome(Verdict.LIBRARY, "; ".join(dict.fromkeys(does)))
    if len(skipped) == len(case.run):
        return outcome(Verdict.NOT_APPLICABLE, "; ".join(dict.fromkeys(skipped)))
    return outcome(Verdict.PASS)


def _run_scene(stand: Stand, scene: Scene) -> None:
    descriptors, threads = _descriptors(), threading.active_count()
    with warnings.catch_warnings():
        # Contexts that the kit opens for TLS 1.2 warn of their age.
        warnings.simplefilter("ignore", DeprecationWarning)
        with stand:
            scene(stand)
    left = _descriptors() - descriptors
    if left > 0 or threading.active_count() > threads:
        more = threading.active_count() - threads
        raise Unmet("nothing is left behind", f"{max(left, 0)} descriptors and {more} threads are")


def _descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0  # a system that does not tell
