"""Section D: the rows that close, against every other engine that can be used here (T93)."""

from __future__ import annotations

from mungos.testing.tls import a_handshake_timing, b_buffers, b_records, c_calls, c_closing
from mungos.testing.tls.case import scene
from mungos.testing.tls.stand import Stand
from mungos.testing.tls.verdicts import LibraryDoes, NotApplicable, Unmet
from mungos.tls.contract import Availability
from mungos.tls.engines import all_engines, select

SCENES = (
    a_handshake_timing.segments_of_one_byte,
    a_handshake_timing.records_of_one_byte,
    b_records.record_in_pieces,
    b_records.hidden_data,
    b_records.half_a_record_behind_a_whole_one,
    b_records.flipped_bit,
    b_buffers.short_sends_then_close,
    c_closing.we_first,
    c_closing.the_peer_first,
    c_closing.the_peer_writes_on,
    c_closing.we_write_on,
    c_closing.both_left_and_no_fin_comes,
    c_closing.crossing,
    c_closing.an_abort_is_no_clean_end,
    c_closing.a_close_is_flushed_before_fin,
    c_closing.silence_after_our_close,
    c_closing.fin_without_an_alert_answers_our_close,
    c_closing.fin_alone,
    c_closing.a_reset_instead,
    c_closing.notify_then_reset,
    c_closing.junk_after_close_notify,
    c_calls.read_after_our_close_notify,
    c_calls.half_close_is_close_notify_first,
)
"""Those whose peer may be any correct one."""


def _can_meet(stand: Stand, other: Availability) -> bool:
    return other.present and other.name != stand.factory.name and "TLSv1.3" not in other.lacks


@scene("T93")
def other_engines(stand: Stand) -> None:
    """The peer is each of the other engines; most rows meet the standard library's session anyway."""
    others = [each.name for each in all_engines() if _can_meet(stand, each)]
    if not others:
        raise NotApplicable("no other engine can be used here")
    does: list[str] = []
    for name in others:
        for each in SCENES:
            inner = Stand(stand.factory, stand.role, foreign=stand.foreign, other=select(name))
            try:
                with inner:
                    each(inner)
            except LibraryDoes as behaviour:
                does.append(f"with {name}: {behaviour}")
            except AssertionError as error:
                wanted, seen = (
                    (error.wanted, error.seen) if isinstance(error, Unmet) else ("the same verdict", error)
                )
                raise Unmet(wanted, f"with {name} in {each.__name__}: {seen}") from error
    if does:
        raise LibraryDoes("; ".join(dict.fromkeys(does)))
