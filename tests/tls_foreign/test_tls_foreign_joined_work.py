"""Messages in small records are put together for a library without looking at what came before again."""

from __future__ import annotations

import pytest

from mungos.tls.engines.foreign.joining import Joiner
from tests.tls.hellos import calls

MESSAGE = bytes(4)  # of no content


def in_records(data: bytes, size: int) -> list[bytes]:
    return [
        b"\x16\x03\x03" + len(data[at : at + size]).to_bytes(2, "big") + data[at : at + size]
        for at in range(0, len(data), size)
    ]


@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_work_is_linear_in_the_messages(size: int) -> None:
    def spent(count: int) -> int:
        # One byte ahead, so that no record ends where a message does and nothing is handed on.
        parts = [*in_records(MESSAGE[:1], 1), *in_records(MESSAGE[1:] + MESSAGE * count, size)]
        joiner = Joiner()
        return calls(lambda: [joiner.add(part) for part in parts])

    assert spent(2_000) <= 2.2 * spent(1_000)


def test_what_is_put_together_is_what_came() -> None:
    joiner = Joiner()
    message = b"\x0b\0\0\x05hello" + b"\x0e\0\0\0"
    out = b"".join(joiner.add(part) for part in in_records(message, 5))
    content = b""
    while out:
        size = int.from_bytes(out[3:5], "big")
        content += out[5 : 5 + size]
        out = out[5 + size :]
    assert content == message
