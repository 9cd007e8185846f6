"""Every provider passes the same tests."""

from __future__ import annotations

import pytest

from mungos.crypto.contract import Provider
from tests.crypto.crypto_providers import PROVIDERS, provider_named


@pytest.fixture(params=PROVIDERS, scope="session")
def provider(request: pytest.FixtureRequest) -> Provider:
    """Each provider in turn."""
    return provider_named(request.param)


@pytest.fixture(scope="session")
def pure() -> Provider:
    """The pure provider, allowed to load private keys."""
    return provider_named("pure")
