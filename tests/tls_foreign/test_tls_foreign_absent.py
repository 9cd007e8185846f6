"""Libraries that are not there, are another version, or do not have the shape that is known."""

from __future__ import annotations

import ctypes
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from mungos import tls
from mungos.errors import Misuse
from mungos.tls.engines.foreign.libraries import Absent
from mungos.tls.engines.mbedtls import library as mbedtls_library
from mungos.tls.engines.mbedtls.factory import MBEDTLS
from mungos.tls.engines.mbedtls.layout import measure
from mungos.tls.engines.wolfssl import library as wolfssl_library
from mungos.tls.engines.wolfssl.factory import WOLFSSL
from tests.tls.conftest import Authority
from tests.tls_foreign.conftest import needed
from tests.tls_foreign.planted import Planted, plant

MODULES = {"wolfssl": wolfssl_library, "mbedtls": mbedtls_library}
FACTORIES: dict[str, tls.EngineFactory] = {"wolfssl": WOLFSSL, "mbedtls": MBEDTLS}
OPEN: dict[str, Callable[[], object]] = {
    "wolfssl": wolfssl_library.wolfssl,
    "mbedtls": mbedtls_library.mbedtls,
}


def look_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the library looked for as if it had not been; what is found is forgotten after the test."""
    module = MODULES[name]
    found: Callable[[], object] = vars(module)["_found"].__wrapped__
    monkeypatch.setattr(module, "_found", cache(found))


def refused(name: str, words: str) -> None:
    """By everything that an engine offers."""
    factory = FACTORIES[name]
    found = factory.availability()
    assert not found.present
    assert words in found.reason
    makes: tuple[Callable[[], object], ...] = (
        lambda: factory.client(tls.ClientConfig(verify=False), "localhost"),
        lambda: factory.server(tls.ServerConfig()),
    )
    for make in makes:
        with pytest.raises(Misuse) as caught:
            make()
        assert str(caught.value) == f"the engine {name} can't be used here: {found.reason}"


@pytest.mark.parametrize(("name", "variable"), [("wolfssl", "MUNGOS_WOLFSSL"), ("mbedtls", "MUNGOS_MBEDTLS")])
def test_a_path_to_nothing(monkeypatch: pytest.MonkeyPatch, name: str, variable: str) -> None:
    monkeypatch.setenv(variable, "/nowhere.so")
    look_again(name, monkeypatch)
    refused(name, f"{variable}=/nowhere.so can't be loaded")


@pytest.mark.parametrize(("name", "variable"), [("wolfssl", "MUNGOS_WOLFSSL"), ("mbedtls", "MUNGOS_MBEDTLS")])
def test_being_asked_often_costs_nothing(monkeypatch: pytest.MonkeyPatch, name: str, variable: str) -> None:
    """The reason is remembered; what is raised for it is new, or its traceback would grow each time."""
    monkeypatch.setenv(variable, "/nowhere.so")
    look_again(name, monkeypatch)
    sizes = set()
    for _ in range(3):
        with pytest.raises(Absent) as caught:
            OPEN[name]()
        sizes.add(len(traceback.extract_tb(caught.value.__traceback__)))
    assert len(sizes) == 1


def loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> Planted:
    """The library is looked for again, and a planted one found."""
    needed(name)
    found = OPEN[name]()
    planted = Planted(found.functions if isinstance(found, mbedtls_library.MbedTLS) else found)  # type: ignore[arg-type]
    look_again(name, monkeypatch)
    monkeypatch.setattr(MODULES[name], "load", lambda *arguments: planted)
    return planted


@pytest.mark.parametrize("number", [0x05005003, 0x06000000])
def test_a_wolfssl_of_another_age(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    loaded("wolfssl", monkeypatch).fails("wolfSSL_lib_version_hex", number)
    refused("wolfssl", "is not one of 5.5.4 to 5.x")


def test_a_wolfssl_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded("wolfssl", monkeypatch).fails("wolfSSL_Init", -1)
    refused("wolfssl", "wolfSSL_Init failed")


def named(name: bytes) -> Callable[..., None]:
    def fault(real: object, text: ctypes.Array[ctypes.c_char]) -> None:
        text.value = name

    return fault


@pytest.mark.parametrize("number", [0x02110000, 0x021D0000, 0x03050000, 0x04000000])
def test_an_mbedtls_of_another_age(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    planted = loaded("mbedtls", monkeypatch)
    planted.fails("mbedtls_version_get_number", number)
    planted.faults["mbedtls_version_get_string_full"] = named(b"mbed TLS of old")
    refused("mbedtls", "mbed TLS of old is neither 2.28 nor 3.6 or a later 3")


# What only version 3 has, as no more than names.
ONLY_3 = ("mbedtls_ssl_conf_groups", "mbedtls_ssl_conf_new_session_tickets")


def version_3(planted: Planted) -> None:
    planted.fails("mbedtls_version_get_number", 0x03060600)
    planted.faults["mbedtls_version_get_string_full"] = named(b"Mbed TLS 3.6.6")
    for name in (*ONLY_3, "psa_crypto_init", "mbedtls_psa_crypto_free"):
        planted.fails(name, 0)


def test_an_mbedtls_whose_cryptography_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = loaded("mbedtls", monkeypatch)
    version_3(planted)
    planted.fails("psa_crypto_init", -134)
    refused("mbedtls", "psa_crypto_init of Mbed TLS 3.6.6 failed")
    assert planted.called["psa_crypto_init"] == 1


def test_an_mbedtls_3_says_what_it_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    version_3(loaded("mbedtls", monkeypatch))
    found = FACTORIES["mbedtls"].availability()
    assert found.present
    assert "TLSv1.3" not in found.lacks
    assert "key updates" in found.lacks


def test_a_library_that_was_built_without_something(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = loaded("mbedtls", monkeypatch)
    monkeypatch.setattr(planted, "real", ctypes.CDLL(None))
    refused("mbedtls", "planted has no mbedtls_")


@pytest.mark.parametrize("third", [False, True])
def test_a_child_starts_the_librarys_cryptography_anew(monkeypatch: pytest.MonkeyPatch, third: bool) -> None:
    """Once: what version 3 keeps for the process is a copy of the parent's there, its random state too."""
    needed("mbedtls")
    found = mbedtls_library.mbedtls()
    planted = Planted(found.functions)
    version_3(planted)
    copied = replace(found, functions=planted, speaks_13=third, pid=-1)  # type: ignore[arg-type]
    monkeypatch.setattr(mbedtls_library, "_found", lambda: copied)
    for _ in range(2):
        assert mbedtls_library.mbedtls() is copied
    assert list(planted.called) == (["mbedtls_psa_crypto_free", "psa_crypto_init"] if third else [])
    assert set(planted.called.values()) <= {1}


def test_a_child_that_cannot_start_it_has_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the three calls tries again, rather than to go on with the parent's random state."""
    needed("mbedtls")
    found = mbedtls_library.mbedtls()
    planted = Planted(found.functions)
    version_3(planted)
    planted.fails("psa_crypto_init", -134)
    copied = replace(found, functions=planted, speaks_13=True, pid=-1)  # type: ignore[arg-type]
    monkeypatch.setattr(mbedtls_library, "_found", lambda: copied)
    refused("mbedtls", f"psa_crypto_init of {found.version} failed after a fork")
    assert planted.called["psa_crypto_init"] == 3


# The layout of Mbed TLS's structures


def no_shape(planted: Planted, words: str) -> None:
    with pytest.raises(Absent, match=words):
        measure(planted)  # type: ignore[arg-type]
    assert not planted.alive, "made, and not freed"


def test_a_structure_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = plant("mbedtls", monkeypatch)
    planted.faults["mbedtls_ssl_config_init"] = lambda real, memory: ctypes.memset(memory, 0, 20_000)
    with pytest.raises(Absent, match=r"mbedtls_ssl_config_init clears 20000 bytes \(limit 16384 bytes\)"):
        measure(planted)  # type: ignore[arg-type]


def test_a_certificate_that_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is the first or a later one: what was read before is freed."""
    for good in range(3):
        planted = plant("mbedtls", monkeypatch)
        left = [good]

        def parse(real: Any, *arguments: Any, left: list[int] = left) -> int:
            left[0] -= 1
            return -0x2180 if left[0] < 0 else real(*arguments)

        planted.faults["mbedtls_x509_crt_parse"] = parse
        with pytest.raises(Absent, match="can't read a certificate of the curve secp256r1"):
            measure(planted)  # type: ignore[arg-type]
        assert planted.called["mbedtls_x509_crt_free"] == 2


def test_a_certificate_of_unknown_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = plant("mbedtls", monkeypatch)
    planted.fails("mbedtls_x509_crt_parse", 0)
    with pytest.raises(Absent, match=r"mbedtls_x509_crt of .* bytes has an unknown shape"):
        measure(planted)  # type: ignore[arg-type]
    assert planted.called["mbedtls_x509_crt_free"] == 2


def test_a_certificate_that_has_two_successors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of two words is the pointer is not guessed."""
    planted = plant("mbedtls", monkeypatch)
    layout = mbedtls_library.mbedtls().layout
    unused = layout.sizes["x509_crt"] - 2 * ctypes.sizeof(ctypes.c_size_t)

    def parse(real: Any, memory: Any, *arguments: Any) -> int:
        result: int = real(memory, *arguments)
        address = ctypes.addressof(memory)
        if ctypes.c_size_t.from_address(address + layout.next_certificate).value:
            places = range(0, unused, ctypes.sizeof(ctypes.c_size_t))
            free = next(at for at in places if not ctypes.c_size_t.from_address(address + at).value)
            ctypes.c_size_t.from_address(address + free).value = 1
            spoilt.append(address + free)
        return result

    spoilt: list[int] = []

    def free(real: Any, memory: Any) -> None:
        for address in spoilt:
            ctypes.c_size_t.from_address(address).value = 0
        real(memory)

    planted.faults["mbedtls_x509_crt_parse"] = parse
    planted.faults["mbedtls_x509_crt_free"] = free
    with pytest.raises(Absent, match="has an unknown shape"):
        measure(planted)  # type: ignore[arg-type]


def test_bytes_that_are_not_those_of_the_certificate(
    monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    """The successor is another certificate than the one that was put there."""
    planted = plant("mbedtls", monkeypatch)
    other = authority.pem + b"\0"

    def parse(real: Any, memory: Any, *arguments: Any) -> int:
        third = planted.called["mbedtls_x509_crt_parse"] == 3
        result: int = real(memory, other, len(other)) if third else real(memory, *arguments)
        return result

    planted.faults["mbedtls_x509_crt_parse"] = parse
    with pytest.raises(Absent, match="the bytes of a certificate are not where they were expected"):
        measure(planted)  # type: ignore[arg-type]
    assert planted.called["mbedtls_x509_crt_free"] == 2
