"""What a ClientHello of 64 KiB costs before anybody is authenticated: no more than forty ordinary ones,
counted in function calls; what is linear only in C is bounded by name."""

from __future__ import annotations

import pytest

from mungos import tls
from mungos.printable import MAX_QUOTED_NAMES, quoted_names
from mungos.tls.bounds import (
    MAX_CLIENT_HELLO,
    MAX_FRAGMENTS,
    MAX_KEY_SHARES,
)
from tests.tls import hellos
from tests.tls.conftest import Authority
from tests.tls.hellos import (
    LARGE,
    SHARE,
    USUAL,
    X25519,
    alpn,
    feed,
    groups,
    hello,
    in_records,
    listed,
    shares,
)

UNKNOWN = range(0x2000, 0x2000 + 32_500)
MANY = hellos.numbers(UNKNOWN)[2:]

HELLOS: dict[str, bytes] = {
    "groups, and shares for the last of them": hello(
        hellos.VERSIONS,
        hellos.SCHEMES,
        groups(*UNKNOWN[:16_000]),
        shares(*((group, b"x") for group in UNKNOWN[9_330:16_000])),
    ),
    "groups, ours the last": hello(
        hellos.VERSIONS, hellos.SCHEMES, groups(*UNKNOWN[:32_000], X25519), shares((X25519, SHARE))
    ),
    "extensions": hello(*USUAL, *((code, b"") for code in UNKNOWN[:16_300])),
    "cipher suites": hello(*USUAL, suites=MANY + b"\x13\x01"),
    "signature schemes": hello(
        hellos.VERSIONS, (13, listed(MANY + b"\x04\x03")), groups(X25519), shares((X25519, SHARE))
    ),
    "protocols, ours the last": hello(*USUAL, alpn(*[b"x"] * 32_000, b"http/1.1")),
    "protocols, none of ours": hello(*USUAL, alpn(*(code.to_bytes(2, "big") for code in UNKNOWN[:21_000]))),
    "responders": hello(*USUAL, (5, b"\1" + listed(b"\0\1x" * 21_700) + b"\0\0")),
    "names of every type": hello(
        *USUAL, (0, listed(b"".join(bytes((kind,)) + listed(b"n" * 240) for kind in range(255, -1, -1))))
    ),
    "keys": hello(
        *USUAL,
        (45, b"\1\1"),
        (41, listed(b"\0\1x\0\0\0\0" * 1_600) + listed((b"\x20" + bytes(32)) * 1_600)),
    ),
    "authorities": hello(*USUAL, (47, listed(b"\0\1x" * 21_000))),
    "schemes for certificates": hello(*USUAL, (50, listed(MANY[:64_000]))),
    "compression": hello(*USUAL, (27, b"\xfe" + MANY[:254])),
}


@pytest.fixture(scope="module")
def config(authority: Authority) -> tls.ServerConfig:
    return tls.ServerConfig(
        (authority.credential("localhost"), authority.credential("example.org")), alpn=("http/1.1",)
    )


def server(engine: tls.EngineFactory, config: tls.ServerConfig) -> tls.Engine:
    made = engine.server(config)
    made.start(0.0)
    return made


@pytest.mark.parametrize("kind", HELLOS)
def test_a_hello_of_64_kib_costs_no_more_calls_than_forty_ordinary_ones(
    engine: tls.EngineFactory, config: tls.ServerConfig, kind: str
) -> None:
    message = HELLOS[kind]
    assert len(message) <= LARGE
    ordinary, large = in_records(hello(*USUAL)), in_records(message)
    feed(server(engine, config), ordinary)  # what is made once for all sessions
    one, other = server(engine, config), server(engine, config)
    usual = hellos.calls(lambda: feed(one, ordinary))
    spent = hellos.calls(lambda: feed(other, large))
    assert spent <= 40 * usual, f"{spent} calls, an ordinary one {usual}"
    for each in (one, other):
        each.release()


def ending(
    engine: tls.EngineFactory, config: tls.ServerConfig, message: bytes, size: int = 16_384
) -> tls.Failed:
    made = server(engine, config)
    feed(made, in_records(message, size))
    failed = made.ending
    made.release()
    assert failed is not None
    return failed


def alive(engine: tls.EngineFactory, config: tls.ServerConfig, message: bytes, size: int = 16_384) -> bool:
    """Whether the bounds let it pass; the library may have reasons of its own."""
    made = server(engine, config)
    feed(made, in_records(message, size))
    failed = made.ending
    made.release()
    return failed is None or ("over" not in str(failed.error) and "limit" not in str(failed.error))


def test_key_shares_are_bounded(engine: tls.EngineFactory, config: tls.ServerConfig) -> None:
    def offer(count: int) -> bytes:
        entries = [(group, b"x") for group in UNKNOWN[: count - 1]] + [(X25519, SHARE)]
        listed = groups(*(group for group, _ in entries))
        return hello(hellos.VERSIONS, hellos.SCHEMES, listed, shares(*entries))

    assert alive(engine, config, offer(MAX_KEY_SHARES))
    failed = ending(engine, config, offer(MAX_KEY_SHARES + 1))
    assert failed.alert is tls.AlertDescription.illegal_parameter
    assert str(failed.error).endswith(f"over {MAX_KEY_SHARES} key shares") or "over 32 shares" in str(
        failed.error
    )


def test_a_client_hello_is_bounded(engine: tls.EngineFactory, config: tls.ServerConfig) -> None:
    """By its header: what follows is not waited for."""
    over = b"\1" + (MAX_CLIENT_HELLO - 3).to_bytes(3, "big")
    failed = ending(engine, config, over)
    assert failed.alert is tls.AlertDescription.decode_error
    assert str(MAX_CLIENT_HELLO) in str(failed.error)
    made = server(engine, config)
    feed(made, in_records(b"\1" + (MAX_CLIENT_HELLO - 4).to_bytes(3, "big")))
    assert made.ending is None


def test_the_records_of_a_client_hello_are_bounded(
    engine: tls.EngineFactory, config: tls.ServerConfig
) -> None:
    message = b"\1" + (MAX_CLIENT_HELLO - 4).to_bytes(3, "big") + bytes(MAX_FRAGMENTS)
    made = server(engine, config)
    feed(made, in_records(message[:MAX_FRAGMENTS], 1))
    before = made.ending
    feed(made, in_records(b"x", 1))
    after = made.ending
    assert before is None
    assert after is not None
    assert after.alert is tls.AlertDescription.decode_error
    assert str(MAX_FRAGMENTS) in str(after.error)


@pytest.mark.parametrize(("record", "read"), [(1, LARGE), (16_384, 1), (1, 1)])
def test_pieces_of_a_hello_are_looked_at_once(
    engine: tls.EngineFactory, config: tls.ServerConfig, record: int, read: int
) -> None:
    """Twice the pieces are twice the work."""

    def spent(size: int) -> int:
        data = in_records(hello(*USUAL, (21, bytes(size)))[: 150 + size], record)
        made = server(engine, config)

        def work() -> None:
            for at in range(0, len(data), read):
                feed(made, data[at : at + read])

        return hellos.calls(work)

    spent(100)
    small, large = spent(1_500), spent(3_000)
    assert large <= 2.2 * small


def test_protocols_of_a_client_are_cut_when_they_are_quoted(
    engine: tls.EngineFactory, config: tls.ServerConfig
) -> None:
    failed = ending(engine, config, HELLOS["protocols, none of ours"])
    assert failed.alert is tls.AlertDescription.no_application_protocol
    assert len(str(failed.error)) < 500
    assert str(failed.error).endswith("...")
    # Long ones, and such as would do something to a terminal.
    failed = ending(engine, config, hello(*USUAL, alpn(*[b"\x1b]0;\xff" * 50] * 9)))
    assert len(str(failed.error)) < MAX_QUOTED_NAMES * 150
    assert str(failed.error).isprintable()


def test_a_list_is_quoted_as_far_as_it_is_short() -> None:
    assert quoted_names([]) == "none"
    assert quoted_names([b"h2", b"http/1.1"]) == "b'h2', b'http/1.1'"
    assert quoted_names([b"x"] * MAX_QUOTED_NAMES) == ", ".join(["b'x'"] * MAX_QUOTED_NAMES)
    assert quoted_names([b"x"] * (MAX_QUOTED_NAMES + 1)) == ", ".join(["b'x'"] * MAX_QUOTED_NAMES) + ", ..."
    assert quoted_names([b"x" * 33]) == f"{b'x' * 32!r}..."


def test_a_name_that_is_too_long_is_no_name(config: tls.ServerConfig) -> None:
    """The library says what it makes of it; here it is neither looked up nor shown."""
    from mungos.tls.engines.foreign.client_hello import parse_client_hello

    def asking(name: bytes) -> bytes:
        return hello(*USUAL, (0, listed(b"\0" + listed(name))))

    assert parse_client_hello(asking(b"a" * 255)).server_name == "a" * 255
    assert parse_client_hello(asking(b"a" * 256)).server_name is None
