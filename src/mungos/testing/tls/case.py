"""A row of the table, and how its cells are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from mungos.testing.tls.stand import Role, Stand
from mungos.testing.tls.world import WireName

__all__ = ["CUTS", "NO_CUT", "ROLES", "Case", "Scene", "Section", "scene"]

Section = Literal["A", "B", "C", "D"]
Scene = Callable[[Stand], None]

CUTS = ("FIN", "RST", "silence")
NO_CUT = ("",)
ROLES: tuple[Role, ...] = ("client", "server")


@dataclass(slots=True)
class Case:
    """One row.

    Attributes:
        id: "T61"; stable.
        section: "A" handshake, "B" records and buffers, "C" close_notify, FIN and RST, "D" what comes after.
        title: what happens.
        expected: what has to come of it.
        spec: the section of RFC 8446 unless another is named; "policy" where this project decides.
        cuts: in which ways the stream below is cut; one empty word where no cut belongs to the case.
        wire: "memory", or "kernel" where a kernel is needed.
        elsewhere: by role, why the case does not exist there.
        run: its scenes, in order, each in a world of its own. Empty: nobody has built it.
    """

    id: str
    section: Section
    title: str
    expected: str
    spec: str
    cuts: tuple[str, ...] = NO_CUT
    wire: WireName = "memory"
    elsewhere: dict[Role, str] = field(default_factory=dict)
    run: list[Scene] = field(default_factory=list)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles in which it exists."""
        return tuple(role for role in ROLES if role not in self.elsewhere)

    @property
    def cells(self) -> list[tuple[Role, str]]:
        """Role and cut of each cell; one without a cut for a role in which it does not exist."""
        found: list[tuple[Role, str]] = []
        for role in ROLES:
            found += [(role, "")] if role in self.elsewhere else [(role, how) for how in self.cuts]
        return found


_SCENES: dict[str, list[Scene]] = {}
_ELSEWHERE: dict[str, dict[Role, str]] = {}


def scene(*ids: str, client: str = "", server: str = "") -> Callable[[Scene], Scene]:
    """A scene of these cases: a function that is called with a stand, and raises where something is amiss.

    Args:
        client, server: why the case does not exist in that role.
    """

    def keep(function: Scene) -> Scene:
        for each in ids:
            _SCENES.setdefault(each, []).append(function)
            found = _ELSEWHERE.setdefault(each, {})
            if client:
                found["client"] = client
            if server:
                found["server"] = server
        return function

    return keep


def fill(cases: list[Case]) -> None:
    """Give each case the scenes that were declared for it. Raises ValueError for one that is in no row."""
    by_id = {case.id: case for case in cases}
    for each, scenes in _SCENES.items():
        if each not in by_id:
            raise ValueError(f"a scene of {each}, which is no case")
        by_id[each].run = list(scenes)
        by_id[each].elsewhere = dict(_ELSEWHERE[each])
