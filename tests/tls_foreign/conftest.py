"""The two engines over a C library, where it is there."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mungos import tls
from mungos.tls.engines.mbedtls.callbacks import pipes as mbedtls_pipes
from mungos.tls.engines.wolfssl.callbacks import pipes as wolfssl_pipes
from tests.tls.conftest import Authority, speaks
from tests.tls.pump import Ours, pump

ENGINES = ("wolfssl", "mbedtls")
ALL = ("builtin", "openssl", *ENGINES)

PIPES = {"wolfssl": wolfssl_pipes, "mbedtls": mbedtls_pipes}
"""What is registered for each library's callbacks: one entry a session that is alive."""

_REASONS = {each.name: each.reason for each in tls.all_engines() if not each.present}


def needed(engine: str) -> tls.EngineFactory:
    """The engine; skips, with its reason, where it is not there."""
    if engine in _REASONS:
        pytest.skip(f"{engine}: {_REASONS[engine]}")
    return tls.select(engine)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> tls.EngineFactory:
    return needed(request.param)


@dataclass
class Pair:
    """A client and a server of ours."""

    client: Ours
    server: Ours

    def pump(self) -> None:
        pump(self.client, self.server)

    @property
    def ends(self) -> tuple[Ours, Ours]:
        return self.client, self.server

    def release(self) -> None:
        for end in self.ends:
            end.engine.release()


def common(client: str, server: str) -> bool:
    """Whether both speak one version of TLS."""
    return any(speaks(client, version) and speaks(server, version) for version in ("TLSv1.2", "TLSv1.3"))


def pair(client: str, server: str, authority: Authority) -> Pair:
    """Two ends that have not met yet."""
    factories = needed(client), needed(server)
    # One value of GREASE is not borne by Mbed TLS 3.6.
    asking = tls.ClientConfig(roots=authority.pem, grease=False)
    showing = tls.ServerConfig((authority.credential("localhost"),))
    return Pair(Ours(factories[0].client(asking, "localhost")), Ours(factories[1].server(showing)))
