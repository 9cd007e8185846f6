"""Nothing that Python raises passes through C, which is told of trouble; what was raised comes out later."""

from __future__ import annotations

import ctypes

import pytest

from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.pipe import Pipe
from mungos.x509 import CertificateError


@pytest.fixture
def buffer() -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(8)


def interrupted(*_arguments: object) -> None:
    raise KeyboardInterrupt


def assert_raised_once(pipe: Pipe) -> None:
    with pytest.raises(KeyboardInterrupt):
        pipe.check()
    pipe.check()


def test_an_interrupt_while_c_reads(
    buffer: ctypes.Array[ctypes.c_char], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = Pipe(Outbox(), None)
    pipe.write(b"data")
    with monkeypatch.context() as patch:
        patch.setattr(ctypes, "memmove", interrupted)
        assert pipe.pull(ctypes.addressof(buffer), 8) == -1
    assert pipe.untouched
    assert_raised_once(pipe)
    assert pipe.pull(ctypes.addressof(buffer), 8) == 4
    assert buffer.value == b"data"


def test_an_interrupt_while_c_writes(
    buffer: ctypes.Array[ctypes.c_char], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = Pipe(Outbox(), None)
    with monkeypatch.context() as patch:
        patch.setattr(ctypes, "string_at", interrupted)
        assert pipe.push(ctypes.addressof(buffer), 8) == -1
    assert pipe.outgoing.pending == 0
    assert not pipe.keyed
    assert_raised_once(pipe)
    assert pipe.push(ctypes.addressof(buffer), 8) == 8


def test_a_chain_that_cannot_be_got_is_not_believed() -> None:
    def chain() -> list[bytes]:
        raise KeyboardInterrupt

    pipe = Pipe(Outbox(), lambda _chain: None)
    assert pipe.judge(lambda: [b"leaf"]) is True
    assert pipe.judge(chain) is False
    assert not pipe.judged
    assert_raised_once(pipe)


def test_a_second_chain_is_judged_anew() -> None:
    refusals = [None, CertificateError("not this one")]
    pipe = Pipe(Outbox(), lambda _chain: refusals.pop(0))
    assert pipe.judge(lambda: [b"first"]) is True
    assert pipe.judge(lambda: [b"second"]) is False
    assert str(pipe.refusal) == "not this one"
