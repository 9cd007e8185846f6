"""Finding the libraries, what they lack, and the shape of their structures."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from mungos import tls
from mungos.errors import Misuse
from mungos.tls.engines.foreign.libraries import Absent, declare, load
from mungos.tls.engines.mbedtls.layout import _CERTIFICATE
from mungos.tls.engines.mbedtls.library import mbedtls
from tests.tls.conftest import Authority
from tests.tls_foreign.conftest import needed


def test_the_variable_names_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNGOS_TESTED", "/nowhere/libnone.so")
    with pytest.raises(Absent, match=r"MUNGOS_TESTED=/nowhere/libnone\.so"):
        load("MUNGOS_TESTED", ["libc.so.6"], "libnone")


def test_nothing_found_says_what_to_install() -> None:
    with pytest.raises(Absent, match="install libnone, or set MUNGOS_TESTED"):
        load("MUNGOS_TESTED", ["libnone.so.99"], "libnone")


def test_the_first_that_is_there_is_taken() -> None:
    library = load("MUNGOS_TESTED", ["libnone.so.99", "libc.so.6"], "libnone")
    declare(library, {"strlen": (ctypes.c_size_t, (ctypes.c_char_p,))})
    assert library.strlen(b"four") == 4
    with pytest.raises(Absent, match="has no no_such_function"):
        declare(library, {"no_such_function": (None, ())})


@pytest.mark.parametrize(("name", "variable"), [("wolfssl", "MUNGOS_WOLFSSL"), ("mbedtls", "MUNGOS_MBEDTLS")])
def test_an_engine_whose_library_is_missing(name: str, variable: str) -> None:
    """Asked in a process of its own, since a library is looked for once."""
    program = (
        "from mungos import tls; from mungos.errors import Misuse\n"
        f"factory = tls.engines.selection._load({name!r})\n"
        "print(factory.availability())\n"
        "for make in (lambda: tls.select(factory.name), lambda: factory.server(tls.ServerConfig())):\n"
        "    try: make()\n"
        "    except Misuse as error: print(error)\n"
    )
    line = [sys.executable, "-c", "import mungos.tls.engines.selection\n" + program]
    environment = {"PYTHONPATH": ":".join(sys.path), variable: "/nowhere.so"}
    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=60, check=True)
    assert "present=False" in done.stdout, done.stderr
    assert done.stdout.count(f"{variable}=/nowhere.so") == 3


def test_they_stand_behind_the_others() -> None:
    names = [each.name for each in tls.all_engines()]
    assert names.index("builtin") < names.index("openssl") < names.index("wolfssl") < names.index("mbedtls")
    assert tls.select().name in {"builtin", "openssl"}


def test_availability_names_the_version(engine: tls.EngineFactory) -> None:
    found = engine.availability()
    assert found.present
    assert found.version.lower().replace(" ", "").startswith(engine.name)
    assert "early data" in found.lacks


def test_layout_is_measured() -> None:
    needed("mbedtls")
    library = mbedtls()
    layout = library.layout
    # The sizes of 64-bit builds; others are smaller. What matters is that they are bounded and not zero.
    assert 100 < layout.sizes["ssl"] < 4000
    assert 100 < layout.sizes["x509_crt"] < 2000
    memory = layout.allocate("x509_crt")
    library.functions.mbedtls_x509_crt_init(memory)
    for count in range(1, 4):
        assert library.functions.mbedtls_x509_crt_parse(memory, _CERTIFICATE, len(_CERTIFICATE)) == 0
        assert layout.chain(ctypes.addressof(memory)) == [_CERTIFICATE] * count
    library.functions.mbedtls_x509_crt_free(memory)


LACKING = [
    tls.ClientConfig(keylog=print),
    tls.ClientConfig(provider="cryptography"),
    tls.ClientConfig(early_data="report", sessions=tls.SessionCache()),
    tls.ClientConfig(ask_staple=True),
    tls.ClientConfig(record_size_limit=1000),
    tls.ClientConfig(compress_certificates=True),
    tls.ClientConfig(sessions=tls.SessionCache()),
    tls.ServerConfig(retry_cookie=True),
    tls.ServerConfig((tls.Credential(b"", b"", staple=b"x"),)),
]


@pytest.mark.parametrize("config", LACKING)
def test_what_is_lacking_is_misuse(
    engine: tls.EngineFactory, config: tls.ClientConfig | tls.ServerConfig
) -> None:
    def make() -> tls.Engine:
        if isinstance(config, tls.ClientConfig):
            return engine.client(config, "localhost")
        return engine.server(config)

    with pytest.raises(Misuse, match=f"the engine {engine.name} "):
        make()


def test_tls_1_3_alone_is_misuse_where_the_library_has_it_not(authority: Authority) -> None:
    factory = needed("mbedtls")
    if "TLSv1.3" not in factory.availability().lacks:
        pytest.skip("this Mbed TLS has TLS 1.3")
    with pytest.raises(Misuse, match=r"has no TLSv1\.3"):
        factory.client(tls.ClientConfig(authority.pem, minimum_version="TLSv1.3"), "localhost")


@pytest.mark.parametrize(
    "change",
    [{"suites": ("TLS_NONE",)}, {"suites": ()}, {"groups": ("none",)}, {"groups": ("X25519MLKEM768",)}],
)
def test_suites_and_groups_that_are_none(authority: Authority, change: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(Misuse):
        needed("wolfssl").client(tls.ClientConfig(authority.pem, **change), "localhost")  # type: ignore[arg-type]
