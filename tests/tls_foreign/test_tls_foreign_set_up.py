"""What is refused at set-up, by name, whatever else the configuration holds."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest

from mungos import tls
from mungos.crypto.pure import PureProvider, SlowCryptography
from mungos.errors import Misuse
from mungos.tls.engines.foreign import verification
from mungos.tls.engines.foreign.credentials import names_of
from mungos.tls.engines.foreign.libraries import Absent
from mungos.tls.engines.foreign.suites import groups
from mungos.tls.engines.openssl import contexts
from mungos.x509 import CertificateError, TrustStore, certificates_from_pem
from tests.tls.conftest import Authority
from tests.tls_foreign.conftest import ALL, needed


@pytest.mark.parametrize("names", [("x25519", "x25591"), ("x25591", "x25519"), ("X25519MLKEM768", "x25591")])
def test_an_unknown_group_among_known_ones_is_named(names: tuple[str, ...]) -> None:
    """One that is merely lacking is left out; one that nobody has is a slip of the pen."""
    with pytest.raises(Misuse, match="unknown group 'x25591'"):
        groups(names)


def test_groups_that_the_library_lacks_and_no_others() -> None:
    with pytest.raises(Misuse, match="none of the groups X25519MLKEM768"):
        groups(("X25519MLKEM768",))


@pytest.mark.parametrize("pem", [b"", b"junk", b"-----BEGIN CERTIFICATE-----", b"\xff"])
@pytest.mark.parametrize("engine", ALL)
def test_roots_without_a_certificate(engine: str, authority: Authority, pem: bytes) -> None:
    with pytest.raises(Misuse, match=r"roots|certificate"):
        needed(engine).client(tls.ClientConfig(roots=pem), "localhost")
    config = tls.ServerConfig((authority.credential("localhost"),), pem, "optional")
    with pytest.raises(Misuse, match=r"roots|certificate"):
        needed(engine).server(config)


def test_a_credential_where_the_system_shows_no_open_files(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file in memory has no name then: the key goes through a private one, which is gone at once."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: list[Path] = []

    def load(_context: ssl.SSLContext, path: Path) -> None:
        assert path.read_bytes().endswith(credential.key)
        assert path.stat().st_mode & 0o077 == 0
        seen.append(path)

    credential = authority.credential("localhost")
    monkeypatch.setattr(contexts, "_load_file", load)
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    contexts.server_contexts(tls.ServerConfig((credential,)))
    (path,) = seen
    assert path.is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_chains_are_judged_without_the_package_cryptography(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mungos.crypto.with_cryptography", None)
    with pytest.warns(SlowCryptography):
        provider = verification._provider.__wrapped__()
    assert isinstance(provider, PureProvider)
    monkeypatch.setattr(verification, "_provider", lambda: provider)
    chain = certificates_from_pem(authority.credential("localhost").chain)
    for roots, refusal in ((authority, type(None)), (Authority(), CertificateError)):
        judge = verification.Verifier(TrustStore.from_pem(roots.pem), None).of_server("localhost")
        assert isinstance(judge(chain), refusal)


@pytest.mark.parametrize(
    "chain",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n",
        b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n",
    ],
)
def test_a_chain_that_cannot_be_read_has_no_names(chain: bytes) -> None:
    assert names_of(tls.Credential(chain, b"")) == ()


def test_an_absent_library_says_why() -> None:
    found = Absent("install it").availability("some")
    assert found == tls.Availability("some", present=False, reason="install it")


def test_every_engine_is_listed_in_order() -> None:
    assert [each.name for each in tls.all_engines()] == ["builtin", "openssl", "wolfssl", "mbedtls"]
    with pytest.raises(Misuse, match="known are auto, builtin, openssl, wolfssl, mbedtls"):
        tls.select("none")
