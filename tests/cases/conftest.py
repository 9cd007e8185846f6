"""Every test here runs on both wires, in a world that must be empty at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mungos.tls.engines import all_engines
from tests.cases.tls_stand import ENGINES, Role, Stand
from tests.cases.web import Web
from tests.cases.world import World


@pytest.fixture(params=["memory", "kernel"])
def world(request: pytest.FixtureRequest, time_factor: float) -> Iterator[World]:
    """A world on one wire."""
    made = World(request.param, time_factor)
    yield made
    made.close()


@pytest.fixture
def web(request: pytest.FixtureRequest, world: World) -> Iterator[Web]:
    """HTTP and WebSocket ends in that world; plain, or over TLS where the parameter is True."""
    made = Web(world, getattr(request, "param", False))
    yield made
    made.close()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The TLS engine of our side."""
    found = {each.name: each for each in all_engines()}[request.param]
    if not found.present:
        pytest.skip(f"{found.name}: {found.reason}")
    return found.name


@pytest.fixture(params=["client", "server"])
def role(request: pytest.FixtureRequest) -> Role:
    """What our side is."""
    return "client" if request.param == "client" else "server"


@pytest.fixture
def stand(world: World, engine: str) -> Stand:
    """Our TLS ends in that world."""
    return Stand(world, engine)
