"""T92: a session recorded on one processor is the same, byte for byte, on every other, for both roles."""

from __future__ import annotations

import json
from typing import cast

import pytest

from mungos.crypto.pure import SlowCryptography
from tests.tls_builtin.transcripts import RECORDED, SCENARIOS, TEXT, Flight, Role, Session, replay

DATA = json.loads(RECORDED.read_text())


@pytest.mark.filterwarnings(f"ignore::{SlowCryptography.__module__}.{SlowCryptography.__qualname__}")
@pytest.mark.parametrize("provider", ["cryptography", "pure"])
@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_t92_recorded_transcript_is_the_same_byte_for_byte(name: str, role: Role, provider: str) -> None:
    session = Session(name, DATA["credentials"], provider)
    recorded = cast("list[list[Flight]]", DATA["transcripts"][name])
    assert len(recorded) == SCENARIOS[name].sessions
    for flights in recorded:
        for number, (sent, expected) in enumerate(replay(session, role, flights)):
            assert sent == expected, f"flight {number}"


def test_t92_recording_holds_handshakes_data_and_both_ends() -> None:
    for name, sessions in DATA["transcripts"].items():
        for flights in sessions:
            for role in ("client", "server"):
                assert sum(len(text) // 2 for who, text in flights if who == role) > len(TEXT), name


def test_t92_a_changed_byte_is_noticed() -> None:
    (flights,) = DATA["transcripts"]["x25519"]
    who, text = flights[1]
    changed = [flights[0], (who, text[:200] + ("0" if text[200] != "0" else "1") + text[201:]), *flights[2:]]
    session = Session("x25519", DATA["credentials"], "cryptography")
    assert any(sent != expected for sent, expected in replay(session, "client", changed))
