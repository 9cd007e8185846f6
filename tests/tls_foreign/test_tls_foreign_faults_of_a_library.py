"""What the engine makes of a library that fails where none is known to: the fault is planted in a session
behind the contract, the engine above it is the real one."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest

from mungos import tls
from mungos.errors import Broken, Closed, Misuse
from mungos.protocol import Buffer
from mungos.tls.engines.foreign.client_hello import Offer
from mungos.tls.engines.foreign.engine import LibraryEngine
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.proving import prove
from mungos.tls.engines.foreign.session import Ended, MustRead
from mungos.tls.engines.openssl.session import OpenSSLSession

OUT_OF_ORDER = tls.Failed(Broken("the library is out of order"))
RECORD = b"\x17\x03\x03\x00\x05hello"


class Library:
    """A session without cryptography: a handshake takes one record, `data` says what the records hold, and
    `faults` what is raised by which call, each once."""

    def __init__(self, version: str = "TLSv1.3", data: list[bytes | None] | None = None) -> None:
        self.outgoing = Outbox()
        self.version = version
        self.data = data or []
        self.faults: dict[str, Exception] = {}
        self.complete = True
        self.silent = False
        self.fed = 0
        self.freed = 0

    def _maybe(self, call: str) -> None:
        fault = self.faults.pop(call, None)
        if fault is not None:
            raise fault

    def write(self, data: Buffer, /) -> int:
        self.fed += 1
        return len(data)

    def handshake(self) -> bool:
        self._maybe("handshake")
        return self.complete and self.fed > 0

    def negotiated(self, server_name: str | None) -> tls.Negotiated:
        return tls.Negotiated(self.version, "none", server_name=server_name)

    def decrypt(self, size: int) -> Buffer | None:
        self._maybe("decrypt")
        return self.data.pop(0)

    def encrypt(self, data: Buffer) -> int:
        self._maybe("encrypt")
        self.outgoing.write(data)
        return len(data)

    def close_notify(self) -> None:
        self._maybe("close_notify")
        if not self.silent:
            self.outgoing.write(b"close_notify")

    def alert(self, alert: tls.AlertDescription) -> bool:
        self.outgoing.write(alert.name.encode())
        return True

    def free(self) -> None:
        self.freed += 1


def engine_over(library: Library, **config: int) -> LibraryEngine:
    """A client whose handshake is done."""
    engine = LibraryEngine(
        tls.ClientConfig(**config),  # type: ignore[arg-type]
        library.outgoing,
        exact_alerts=True,
        session=library,
    )
    engine.start(0.0)
    engine.receive(RECORD, 0.0)
    assert isinstance(engine.next_event(), tls.Established)
    return engine


def assert_dead(engine: LibraryEngine, library: Library) -> None:
    assert engine.next_event() is OUT_OF_ORDER
    assert engine.next_event() is None
    assert engine.ending is OUT_OF_ORDER
    assert engine.read_side is tls.ReadSide.FAILED
    assert engine.write((b"more",)) == 0
    assert engine.deadline is None
    assert library.freed == 1
    while engine.take(100):
        pass
    assert engine.write_side is tls.WriteSide.ENDED


def test_a_write_that_fails_ends_the_session() -> None:
    library = Library()
    engine = engine_over(library)
    assert engine.write((b"before",)) == 6
    library.faults["encrypt"] = Ended(OUT_OF_ORDER)
    assert engine.write((b"x" * 20_000,)) == 0
    assert engine.take(100) == [b"before"]
    assert_dead(engine, library)


def test_what_was_taken_before_the_fault_is_counted() -> None:
    library = Library()
    engine = engine_over(library)
    calls = []

    def encrypt(data: Buffer) -> int:
        calls.append(len(data))
        if len(calls) == 2:
            raise Ended(OUT_OF_ORDER)
        return len(data)

    library.encrypt = encrypt  # type: ignore[method-assign]
    assert engine.write((b"x" * 100, b"y" * 20_000)) == 1 << 14
    assert calls == [1 << 14, 20_100 - (1 << 14)]
    assert_dead(engine, library)


def test_a_close_notify_that_fails_ends_the_session() -> None:
    library = Library()
    engine = engine_over(library)
    library.faults["close_notify"] = Ended(OUT_OF_ORDER)
    engine.close_write()
    with pytest.raises(Closed):
        engine.write((b"more",))
    engine._closed_here = False  # to look at the rest
    assert_dead(engine, library)


def test_rfc5246_7_2_1_an_answer_that_fails_ends_the_session_after_the_peer_s_end() -> None:
    library = Library("TLSv1.2", data=[b""])
    engine = engine_over(library)
    library.faults["close_notify"] = Ended(OUT_OF_ORDER)
    engine.receive(RECORD, 0.0)
    assert isinstance(engine.next_event(), tls.PeerClosed)
    assert_dead(engine, library)


def test_a_library_that_sends_no_close_notify_has_ended_nevertheless() -> None:
    library = Library()
    library.silent = True
    engine = engine_over(library)
    engine.close_write()
    assert engine.write_side is tls.WriteSide.ENDED
    assert engine.read_side is tls.ReadSide.OPEN


def test_close_notify_waits_for_as_many_messages_as_it_must() -> None:
    library = Library(data=[None, None, b"data"])
    engine = engine_over(library)
    library.faults["close_notify"] = MustRead()
    engine.close_write()
    assert (engine.write_side, engine.unsent) == (tls.WriteSide.FLUSHING, 0)
    library.faults["close_notify"] = MustRead()
    engine.receive(RECORD, 0.0)
    assert engine.next_event() is None
    assert (engine.write_side, engine.unsent) == (tls.WriteSide.FLUSHING, 0)
    engine.receive(RECORD * 2, 0.0)
    assert engine.next_event() == tls.Data(b"data")
    assert engine.take(100) == [b"close_notify"]
    assert engine.write_side is tls.WriteSide.ENDED


def test_close_notify_waits_behind_what_was_written() -> None:
    library = Library(data=[None])
    engine = engine_over(library)
    engine.write((b"before",))
    library.faults["close_notify"] = MustRead()
    engine.close_write()
    assert engine.take(100) == [b"before"]
    assert (engine.write_side, engine.unsent) == (tls.WriteSide.FLUSHING, 0)
    engine.receive(RECORD, 0.0)
    assert engine.next_event() is None
    assert engine.take(100) == [b"close_notify"]
    assert engine.write_side is tls.WriteSide.ENDED


def test_what_was_written_goes_out_although_close_notify_never_will() -> None:
    library = Library()
    engine = engine_over(library)
    engine.write((b"before",))
    library.faults["close_notify"] = MustRead()
    engine.close_write()
    engine.receive_eof(0.0)
    assert engine.next_event() is None
    assert engine.read_side is tls.ReadSide.TRUNCATED
    assert (engine.write_side, engine.take(100)) == (tls.WriteSide.FLUSHING, [b"before"])
    assert engine.write_side is tls.WriteSide.ENDED


def test_a_close_notify_that_waited_and_fails_ends_the_session() -> None:
    library = Library(data=[None])
    engine = engine_over(library)
    library.faults["close_notify"] = MustRead()
    engine.close_write()
    library.faults["close_notify"] = Ended(OUT_OF_ORDER)
    engine.receive(RECORD, 0.0)
    engine._closed_here = False  # to look at the rest
    assert_dead(engine, library)


def test_a_fault_while_close_notify_waits_ends_both_directions() -> None:
    library = Library()
    engine = engine_over(library)
    engine.write((b"before",))
    library.faults["close_notify"] = MustRead()
    engine.close_write()
    library.faults["decrypt"] = Ended(OUT_OF_ORDER)
    engine.receive(RECORD, 0.0)
    engine._closed_here = False  # to look at the rest
    assert_dead(engine, library)


def test_more_than_the_cap_after_the_peer_s_close_notify_is_lost_and_said() -> None:
    library = Library(data=[b""])
    engine = engine_over(library, max_unread=20_000)
    engine.receive(RECORD, 0.0)
    assert isinstance(engine.next_event(), tls.PeerClosed)
    engine.close_write()
    engine.take(100)
    for size in (15_000, 5_001, 10):
        assert engine.receive(bytes(size), 0.0) == size
    with pytest.raises(Misuse, match="more than 20000 bytes"):
        engine.unwrap()


def test_as_much_as_the_cap_after_the_peer_s_close_notify_is_kept() -> None:
    library = Library(data=[b""])
    engine = engine_over(library, max_unread=20_000)
    engine.receive(RECORD, 0.0)
    assert isinstance(engine.next_event(), tls.PeerClosed)
    engine.close_write()
    engine.take(100)
    for size in (15_000, 5_000):
        assert engine.receive(bytes(size), 0.0) == size
    assert engine.unwrap() == bytes(20_000)


@pytest.mark.parametrize("end", [LibraryEngine.close_write, LibraryEngine.release])
def test_early_data_after_our_end_is_misuse(end: Callable[[LibraryEngine], None]) -> None:
    engine = engine_over(Library())
    assert engine.write_early((b"x",)) == 0
    end(engine)
    with pytest.raises(Closed):
        engine.write_early((b"x",))


@pytest.mark.parametrize("first", [1, 1 << 14])
def test_max_unsent_bounds_records_that_small_parts_share(first: int) -> None:
    """A part that fills the record begun by another, and one that fills records without a rest."""
    engine = engine_over(Library(), max_unsent=20_000)
    assert engine.write((b"x" * first, b"y" * 30_000)) == 1 << 14
    assert engine.write((b"x" * first, b"y" * 30_000)) == 0
    engine.take(1 << 20)
    assert engine.write((b"y" * (2 << 14),)) == 1 << 14
    engine.take(1 << 20)
    assert engine.write((b"z" * (1 << 13), b"z" * (1 << 13), b"")) == 1 << 14


def test_records_without_a_rest() -> None:
    engine = engine_over(Library())
    assert engine.write((b"y" * (2 << 14), b"z")) == (2 << 14) + 1
    assert engine.unsent == (2 << 14) + 1


def test_an_alert_after_our_close_notify_is_not_sent() -> None:
    """RFC 8446 section 6.1: nothing of ours follows close_notify."""
    engine = engine_over(Library())
    engine.close_write()
    assert engine.take(100) == [b"close_notify"]
    engine.fail(tls.AlertDescription.internal_error)
    failed = engine.next_event()
    assert isinstance(failed, tls.Failed)
    assert failed.alert is None
    assert engine.unsent == 0


def test_an_alert_under_keys_is_sent_where_the_library_can() -> None:
    engine = engine_over(Library())
    engine.fail(tls.AlertDescription.internal_error)
    failed = engine.next_event()
    assert isinstance(failed, tls.Failed)
    assert failed.alert is tls.AlertDescription.internal_error
    assert engine.take(100) == [b"internal_error"]


def test_a_server_without_a_session_waits() -> None:
    """Its session is made once the client has spoken: until then there is nothing to begin."""

    def open_session(_offer: Offer) -> Library:
        raise AssertionError

    engine = LibraryEngine(tls.ServerConfig(), Outbox(), exact_alerts=True, open_session=open_session)
    engine.start(0.0)
    assert engine.next_event() is None
    engine.close_write()
    assert engine.write_side is tls.WriteSide.FLUSHING


# OpenSSL


class _Object:
    """An `ssl.SSLObject` whose every call fails."""

    def write(self, _data: Buffer) -> int:
        return self._fail()

    def unwrap(self) -> None:
        self._fail()

    def _fail(self) -> int:
        error = ssl.SSLError(1, "[SSL: INTERNAL_ERROR] internal error (_ssl.c:1)")
        error.reason = "INTERNAL_ERROR"
        raise error


class _Context:
    def wrap_bio(self, *_arguments: object, **_keywords: object) -> _Object:
        return _Object()


@pytest.mark.parametrize("call", [lambda session: session.encrypt(b"x"), OpenSSLSession.close_notify])
def test_openssl_an_error_while_sending_ends_the_session(call: Callable[[OpenSSLSession], object]) -> None:
    outgoing = ssl.MemoryBIO()
    session = OpenSSLSession(_Context(), outgoing, server_side=False, server_name=None)  # type: ignore[arg-type]
    with pytest.raises(Ended) as caught:
        call(session)
    verdict = caught.value.verdict
    assert isinstance(verdict.error, Broken)
    assert "internal error" in str(verdict.error)
    assert verdict.alert is None
    assert not verdict.sent_by_peer


# The handshake with which a credential is tried


def test_a_credential_s_refusal_says_what_the_library_said() -> None:
    client, server = Library(), Library()
    server.faults["handshake"] = Ended(OUT_OF_ORDER)
    with pytest.raises(Misuse, match=r"credential: .*the library is out of order"):
        prove(client, server, (client.outgoing, server.outgoing))
    assert client.freed == server.freed == 1


@pytest.mark.parametrize("stuck", [0, 1])
def test_a_credential_with_which_no_handshake_ends_is_refused(stuck: int) -> None:
    ends = Library(), Library()
    for end in ends:
        end.outgoing.write(RECORD)
    ends[stuck].complete = False
    with pytest.raises(Misuse, match="credential: no handshake succeeds"):
        prove(*ends, (ends[0].outgoing, ends[1].outgoing))
    assert [end.freed for end in ends] == [1, 1]


def test_a_credential_with_which_both_ends_come_through_is_taken() -> None:
    ends = Library(), Library()
    for end in ends:
        end.outgoing.write(RECORD)
    prove(*ends, (ends[0].outgoing, ends[1].outgoing))
    assert [end.freed for end in ends] == [1, 1]
