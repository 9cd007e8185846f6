"""Authorities, credentials, and the engines under test: every module here runs on each of them."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
import trustme

from mungos import tls
from tests.tls.forge import Forge
from tests.tls.pump import Foreign, Ours, pump

ENGINES = ("openssl", "builtin", "wolfssl", "mbedtls")

# Of some faults these libraries say nothing to the peer, or something else than RFC 8446 asks for.
LAX = ("wolfssl", "mbedtls")

_ABSENT = {each.name: each.reason for each in tls.all_engines() if not each.present}
_LACKS = {each.name: each.lacks for each in tls.all_engines()}

PRESENT = [
    pytest.param(name, marks=pytest.mark.skip(f"{name}: {_ABSENT[name]}")) if name in _ABSENT else name
    for name in ENGINES
]


def speaks(engine: str, version: str) -> bool:
    """Whether the engine says that it has this version."""
    return version not in _LACKS[engine]


Role = Literal["client", "server"]


def credential(leaf: trustme.LeafCert) -> tls.Credential:
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return tls.Credential(chain, leaf.private_key_pem.bytes())


class Authority:
    """A certificate authority; leaves are remembered by their names."""

    def __init__(self) -> None:
        self.ca = trustme.CA()
        self.pem = self.ca.cert_pem.bytes()
        self._leaves: dict[tuple[str, ...], trustme.LeafCert] = {}

    def leaf(self, *names: str) -> trustme.LeafCert:
        if names not in self._leaves:
            self._leaves[names] = self.ca.issue_cert(*names)
        return self._leaves[names]

    def credential(self, *names: str) -> tls.Credential:
        return credential(self.leaf(*names))


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def stranger() -> Authority:
    """An authority that nobody trusts."""
    return Authority()


@pytest.fixture(params=PRESENT, scope="session")
def engine(request: pytest.FixtureRequest) -> tls.EngineFactory:
    """The engine under test."""
    return tls.select(request.param)


@pytest.fixture(params=PRESENT, scope="session")
def other_engine(request: pytest.FixtureRequest) -> tls.EngineFactory:
    """The engine at the other end, where both are ours."""
    return tls.select(request.param)


@pytest.fixture(scope="session")
def server_config(authority: Authority) -> tls.ServerConfig:
    return tls.ServerConfig((authority.credential("localhost"),))


@pytest.fixture(scope="session")
def client_config(authority: Authority) -> tls.ClientConfig:
    return tls.ClientConfig(roots=authority.pem)


@dataclass
class Pair:
    client: Ours
    server: Ours

    def pump(self, chunk: int = 0) -> None:
        pump(self.client, self.server, chunk)


@pytest.fixture
def fresh(
    engine: tls.EngineFactory,
    other_engine: tls.EngineFactory,
    client_config: tls.ClientConfig,
    server_config: tls.ServerConfig,
) -> Callable[[], Pair]:
    """Makes two ends that have not met yet."""

    def make() -> Pair:
        config = client_config
        if other_engine.name == "mbedtls":
            config = replace(config, grease=False)  # of which Mbed TLS 3.6 does not bear one value
        return Pair(Ours(engine.client(config, "localhost")), Ours(other_engine.server(server_config)))

    return make


@pytest.fixture
def engine_pair(fresh: Callable[[], Pair]) -> Iterator[Pair]:
    """Two ends of ours, their handshake done."""
    pair = fresh()
    pair.pump()
    assert pair.client.established
    assert pair.server.established
    yield pair
    for end in (pair.client, pair.server):
        end.engine.release()
        assert end.engine.unread == end.engine.unsent == 0


@dataclass
class Meeting:
    """Our end and the foreign one, their handshake done (unless it was not pumped yet)."""

    ours: Ours
    foreign: Foreign
    role: Role
    version: str
    keylog: Path

    def pump(self, chunk: int = 0) -> None:
        pump(self.ours, self.foreign, chunk)

    def forge(self) -> Forge:
        """Makes records with the foreign end's keys; that end must not have sent any data yet."""
        label = "SERVER_TRAFFIC_SECRET_0" if self.role == "client" else "CLIENT_TRAFFIC_SECRET_0"
        return Forge(self.keylog, label)


def foreign_context(
    server: bool, authority: Authority, version: str = "TLSv1.3", names: tuple[str, ...] = ("localhost",)
) -> ssl.SSLContext:
    """A context of `ssl` that speaks one version only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = {
        "TLSv1.2": ssl.TLSVersion.TLSv1_2,
        "TLSv1.3": ssl.TLSVersion.TLSv1_3,
    }[version]
    authority.ca.configure_trust(context)
    if server:
        authority.leaf(*names).configure_cert(context)
        context.num_tickets = 0
    return context


@pytest.fixture
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["client", "server"])
def role(request: pytest.FixtureRequest) -> Role:
    return "client" if request.param == "client" else "server"


@pytest.fixture
def unmet(
    engine: tls.EngineFactory,
    role: Role,
    version: str,
    authority: Authority,
    client_config: tls.ClientConfig,
    server_config: tls.ServerConfig,
    tmp_path: Path,
) -> Iterator[Meeting]:
    """Our engine in each role and version, against `ssl`; not a byte has moved yet."""
    context = foreign_context(role == "client", authority, version)
    keylog = tmp_path / "keylog"
    context.keylog_filename = str(keylog)
    if role == "client":
        ours = Ours(engine.client(client_config, "localhost"))
        foreign = Foreign(context, server=True)
    else:
        ours = Ours(engine.server(server_config))
        foreign = Foreign(context, server=False, server_name="localhost")
    yield Meeting(ours, foreign, role, version, keylog)
    ours.engine.release()
    # The context keeps the key log's file open, and the session keeps the context.
    context.keylog_filename = os.devnull
    foreign.drop()


@pytest.fixture
def met(unmet: Meeting) -> Meeting:
    """As `unmet`, the handshake done."""
    unmet.pump()
    assert unmet.ours.established
    assert unmet.foreign.established
    return unmet


@pytest.fixture
def met_13(met: Meeting) -> Meeting:
    """As `met`, TLS 1.3 only."""
    return met


@pytest.fixture
def met_12(met: Meeting) -> Meeting:
    """As `met`, TLS 1.2 only."""
    return met


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "version" in metafunc.fixturenames:
        versions = ["TLSv1.2", "TLSv1.3"]
        if "met_12" in metafunc.fixturenames:
            versions = ["TLSv1.2"]
        elif "met_13" in metafunc.fixturenames:
            versions = ["TLSv1.3"]
        metafunc.parametrize("version", versions, indirect=True)


@pytest.fixture
def tls_1_3() -> None:
    """Asked for by the tests of what TLS 1.2 has not."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test of a version that its engine does not speak, or of two engines that speak none in common, is not
    there, rather than skipped."""
    kept = [item for item in items if not _is_foreign_version(item)]
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if _is_foreign_version(item)])
        items[:] = kept


def _is_foreign_version(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    if callspec is None or item.path.parent != Path(__file__).parent:
        return False
    engines = [callspec.params[each] for each in ("engine", "other_engine") if each in callspec.params]
    wanted = {callspec.params["version"]} if "version" in callspec.params else {"TLSv1.2", "TLSv1.3"}
    if item.get_closest_marker("tls_1_2") is not None:
        wanted &= {"TLSv1.2"}
    if "tls_1_3" in getattr(item, "fixturenames", ()):
        wanted &= {"TLSv1.3"}
    if "version" in callspec.params:
        engines = engines[:1]  # the other end is `ssl`
    return not any(all(speaks(engine, version) for engine in engines) for version in wanted)
