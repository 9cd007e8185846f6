"""Every test here runs on both wires, in a world that must be empty at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cases.world import World


@pytest.fixture(params=["memory", "kernel"])
def world(request: pytest.FixtureRequest, time_factor: float) -> Iterator[World]:
    """A world on one wire."""
    made = World(request.param, time_factor)
    yield made
    made.close()
