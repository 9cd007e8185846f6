"""Roots: PEM (RFC 7468), the store, the system's places."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import Malformed, Misuse
from mungos.x509 import CertificateMalformed, TrustStore, certificates_from_pem, pem, system_trust_store
from mungos.x509.system_roots import find_roots, read_roots
from tests.x509.x509_forge import curve_key, extension, make, make_root, to_pem

ONE, TWO, THREE = (make_root(f"root {i}", curve_key(i)) for i in range(3))


# --- PEM -----------------------------------------------------------------------------------------------


def test_rfc7468_blocks_in_order_and_text_between() -> None:
    key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    text = b"# comment\n" + ONE.pem + key + b"\r\nsubject: x\r\n" + TWO.pem.replace(b"\n", b"\r\n") + b"end"
    assert certificates_from_pem(text) == [ONE.der, TWO.der]
    assert certificates_from_pem(b"") == []
    assert certificates_from_pem(key) == []


def test_rfc7468_blanks_and_long_lines() -> None:
    body = ONE.pem.split(b"\n")[1:-2]
    one_line = b"-----BEGIN CERTIFICATE-----" + b"".join(body) + b"-----END CERTIFICATE-----"
    spaced = b"-----BEGIN CERTIFICATE-----\n" + b" \t\n".join(body) + b"\n\n-----END CERTIFICATE-----"
    assert certificates_from_pem(one_line) == certificates_from_pem(spaced) == [ONE.der]


@pytest.mark.parametrize(
    "text",
    [
        ONE.pem[:-28],
        ONE.pem.replace(b"M", b"*", 1),
        ONE.pem.replace(b"-----END", b"!\n-----END"),
        ONE.pem.replace(b"\n", b"\nProc-Type: 4,ENCRYPTED\n\n", 1),
        b"-----BEGIN CERTIFICATE-----\n" + ONE.pem,
        b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n",
    ],
    ids=["no end", "no base64", "stray character", "headers", "begun twice", "too short"],
)
def test_broken_pem(text: bytes) -> None:
    with pytest.raises(Malformed):
        certificates_from_pem(text)
    with pytest.raises(Misuse, match="can't be read"):
        TrustStore.from_pem(text)


def test_rfc7468_2_a_block_without_its_end_is_not_closed_by_the_end_of_the_text() -> None:
    # What is there is sound base64.
    with pytest.raises(Malformed, match="certificate 2 of the PEM text has no end line"):
        certificates_from_pem(ONE.pem + b"-----BEGIN CERTIFICATE-----\nAAAA\n")


def test_pem_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pem, "MAX_CERTIFICATES", 2)
    with pytest.raises(Malformed, match="over 2 certificates"):
        certificates_from_pem(to_pem(ONE.der, TWO.der, THREE.der))
    monkeypatch.setattr(pem, "MAX_TEXT", 100)
    with pytest.raises(Malformed, match="limit of 100 bytes"):
        certificates_from_pem(ONE.pem)


@given(text=st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_body_ends_in_bytes_or_a_typed_error(text: bytes) -> None:
    try:
        found = certificates_from_pem(b"-----BEGIN CERTIFICATE-----" + text + b"-----END CERTIFICATE-----")
    except Malformed:
        return
    assert len(found) == 1


# --- the store -----------------------------------------------------------------------------------------


def test_store_finds_by_name_and_by_bytes() -> None:
    twin = make_root("root 0", curve_key(9))
    store = TrustStore.from_pem(to_pem(ONE.der, TWO.der, ONE.der, twin.der))
    assert len(store) == 3
    assert ONE.der in store
    assert bytes(bytearray(TWO.der)) in store
    assert THREE.der not in store
    assert [root.der for root in store.named(ONE.subject)] == [ONE.der, twin.der]
    assert store.named(ONE.subject) is store.named(ONE.subject)
    assert store.named(THREE.subject) == ()
    assert "3" in repr(store)
    assert sorted(store) == sorted((ONE.der, TWO.der, twin.der))


def test_store_of_nothing_is_misuse() -> None:
    for text in (b"", b"no PEM here", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"):
        with pytest.raises(Misuse, match="no certificate"):
            TrustStore.from_pem(text)
    assert len(TrustStore([])) == 0


def test_store_with_a_broken_root() -> None:
    broken = make("broken", curve_key(5), [extension("2.5.29.15", b"")])
    text = to_pem(ONE.der, broken.der, ONE.der[:-1])
    with pytest.raises(Misuse):
        TrustStore.from_pem(text)
    with pytest.raises(CertificateMalformed):
        TrustStore([broken.der])
    tolerant = TrustStore.from_pem(text, tolerant=True)
    assert len(tolerant) == 2
    assert tolerant.named(broken.subject) == ()
    assert len(tolerant.named(ONE.subject)) == 1


# --- the system's places -------------------------------------------------------------------------------


def test_roots_from_a_file_and_a_directory(tmp_path: Path) -> None:
    (tmp_path / "one.pem").write_bytes(ONE.pem)
    (tmp_path / "two.crt").write_bytes(TWO.pem.rstrip())
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "three.pem").write_bytes(THREE.pem)
    assert len(TrustStore.from_pem(read_roots(tmp_path / "one.pem"))) == 1
    assert len(TrustStore.from_pem(read_roots(tmp_path))) == 2
    assert len(find_roots({"SSL_CERT_FILE": str(tmp_path / "one.pem")})) == 1
    assert len(find_roots({"SSL_CERT_DIR": str(tmp_path)})) == 2
    with pytest.raises(OSError, match="nothing"):
        read_roots(tmp_path / "nothing")


def test_a_place_that_was_asked_for_must_serve(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_bytes(b"")
    for environment in (
        {"SSL_CERT_FILE": str(tmp_path / "empty.pem")},
        {"SSL_CERT_FILE": str(tmp_path / "nothing.pem")},
        {"SSL_CERT_DIR": str(tmp_path)},
    ):
        with pytest.raises(Misuse):
            find_roots(environment)
    # It says what is wrong with that place, not that none was found.
    with pytest.raises(Misuse, match="the roots hold no certificate"):
        find_roots({"SSL_CERT_FILE": str(tmp_path / "empty.pem")})


def test_of_the_systems_places_the_first_that_serves_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mungos.x509 import system_roots

    (tmp_path / "empty.pem").write_bytes(b"")
    (tmp_path / "broken.pem").write_bytes(ONE.pem[:-28])
    (tmp_path / "two.pem").write_bytes(TWO.pem)
    (tmp_path / "three.pem").write_bytes(THREE.pem)
    names = ("nothing.pem", "empty.pem", "broken.pem", "two.pem", "three.pem")
    monkeypatch.setattr(system_roots, "_FILES", tuple(str(tmp_path / name) for name in names))
    assert [root.der for root in find_roots({}).named(TWO.subject)] == [TWO.der]
    monkeypatch.setattr(system_roots, "_FILES", (str(tmp_path / "empty.pem"),))
    monkeypatch.setattr(system_roots, "_DIRECTORIES", ())
    with pytest.raises(Misuse, match=r"no trusted roots in any of .*empty\.pem: install ca-certificates"):
        find_roots({})


def test_files_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mungos.x509 import system_roots

    (tmp_path / "one.pem").write_bytes(ONE.pem)
    monkeypatch.setattr(system_roots, "MAX_TEXT", 100)
    with pytest.raises(Misuse, match="limit of 100 bytes"):
        read_roots(tmp_path / "one.pem")
    monkeypatch.setattr(system_roots, "_MAX_FILES", 0)
    with pytest.raises(Misuse, match="limit 0"):
        read_roots(tmp_path)


def test_the_systems_roots_can_all_be_parsed() -> None:
    try:
        store = system_trust_store()
    except Misuse as error:
        pytest.skip(str(error))
    assert system_trust_store() is store
    found = [root for subject in store._by_subject for root in store.named(subject)]
    assert len(found) == len(store)
    assert all(root.extensions.is_ca or root.version < 3 for root in found)
