"""Servers that fail at a name of the search list: the others are asked, and no failure becomes a no."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mungos.dns import (
    Cache,
    Failed,
    Message,
    NameNotFound,
    Rcode,
    RecordType,
    Resolved,
    ResolverConfig,
    ServerFailed,
    Zone,
    encode,
    name_to_text,
    respond,
)
from mungos.errors import TimedOut
from tests.dns.dns_servers import ONE, TWO, Net, Server, says, silent

ZONE = Zone({"www.example.org": ["192.0.2.1"], "printer": ["192.0.2.2"], "printer.lan": ["192.0.2.3"]})
SEARCH = ResolverConfig(servers=(ONE,), search=("svc.local", "corp.example"), ndots=5)
LAN = ResolverConfig(servers=(ONE,), search=("lan",))


def cut(query: Message, stream: bool) -> bytes | None:
    """TC over UDP, and over TCP nothing usable."""
    return b"\0" * 12 if stream else respond(query, truncated=True)


def mangled(query: Message, stream: bool) -> bytes:
    """The message ends before its last record does."""
    answer = ZONE.answer(encode(query))
    assert answer is not None
    return answer[:-1]


FAILURES = {
    "SERVFAIL": says(Rcode.SERVFAIL),
    "REFUSED": says(Rcode.REFUSED),
    "NOTIMP": says(Rcode.NOTIMP),
    "FORMERR": says(Rcode.FORMERR),
    "another code": says(11),
    "silence": silent,
    "cut": cut,
    "mangled": mangled,
}
failing = pytest.mark.parametrize("how", FAILURES)


def at(name: str, server: Server, *types: RecordType, otherwise: Callable[[Message], bytes | None]) -> Server:
    """A server that does this at one name, and those below it, for these types, or all."""

    def answer(query: Message, stream: bool) -> bytes | None:
        question = query.questions[0]
        if name_to_text(question.name).endswith(name):
            return (
                server(query, stream) if question.type in (types or tuple(RecordType)) else otherwise(query)
            )
        return ZONE.answer(encode(query), stream=stream)

    return answer


def no_name(query: Message) -> bytes:
    return respond(query, rcode=Rcode.NXDOMAIN)


def no_data(query: Message) -> bytes:
    return respond(query)


@failing
def test_a_failure_at_one_name_leads_on_to_the_next(how: str) -> None:
    net = Net(one=at("corp.example", FAILURES[how], otherwise=no_name))
    assert net.lookup("www.example.org", config=SEARCH) == Resolved(("192.0.2.1",))
    assert net.now < 105.0


@failing
def test_a_failure_at_the_name_as_it_is_leads_on_to_the_search_list(how: str) -> None:
    config = ResolverConfig(servers=(ONE,), search=("lan",), ndots=0)
    net = Net(one=lambda query, stream: _as_is(FAILURES[how], query, stream))
    assert net.lookup("printer", config=config) == Resolved(("192.0.2.3",))
    assert net.now < 105.0


def _as_is(server: Server, query: Message, stream: bool) -> bytes | None:
    if len(query.questions[0].name) == 1:
        return server(query, stream)
    return ZONE.answer(encode(query), stream=stream)


@failing
@pytest.mark.parametrize("otherwise", [no_name, no_data])
@pytest.mark.parametrize("kind", [RecordType.A, RecordType.AAAA])
def test_a_failure_of_one_family_leads_on_where_the_other_has_a_no(
    how: str, otherwise: Callable[[Message], bytes], kind: RecordType
) -> None:
    net = Net(one=at("corp.example", FAILURES[how], kind, otherwise=otherwise))
    assert net.lookup("www.example.org", config=SEARCH) == Resolved(("192.0.2.1",))
    assert net.now < 105.0


def test_rfc8020_2_silence_of_one_family_is_waited_for_a_moment_where_the_other_has_no_such_name() -> None:
    net = Net(one=at("lan", silent, RecordType.AAAA, otherwise=no_name))
    assert net.lookup("printer", config=LAN) == Resolved(("192.0.2.2",))
    assert net.now == 100.0 + LAN.grace


def test_rfc4074_4_2_who_says_no_such_name_for_one_family_only_is_asked_for_the_other() -> None:
    def server(query: Message, stream: bool) -> bytes | None:
        if query.questions[0].type == RecordType.AAAA:
            return no_name(query)
        return ZONE.answer(encode(query), stream=stream)

    assert Net(one=server).lookup("printer", config=LAN) == Resolved(("192.0.2.3",))


def test_silence_at_one_name_does_not_end_a_lookup_that_has_time() -> None:
    config = ResolverConfig(servers=(ONE,), search=("lan",), timeout=1.0, attempts=1)
    net = Net(one=at("lan", silent, otherwise=no_name))
    assert net.lookup("printer", config=config) == Resolved(("192.0.2.2",))
    assert net.now == 101.0


@pytest.mark.parametrize("domains", [1, 6, 32])
def test_silence_at_the_first_names_leaves_half_of_the_time_to_the_others(domains: int) -> None:
    config = ResolverConfig(servers=(ONE,), search=[f"d{n}.example" for n in range(domains)])
    net = Net(one=at("d0.example", silent, otherwise=no_name))
    assert net.lookup("printer", config=config) == Resolved(("192.0.2.2",))
    assert net.now == (104.0 if domains == 1 else 102.5)


@failing
@pytest.mark.parametrize("place", ["svc.local", "corp.example", "none"])
def test_a_search_with_a_failure_that_finds_nothing_is_a_failure(how: str, place: str) -> None:
    cache = Cache(SEARCH)
    end = Net(one=at(place, FAILURES[how], otherwise=no_name)).lookup("none", config=SEARCH, cache=cache)
    assert isinstance(end, Failed)
    if how == "silence":
        assert isinstance(end.error, TimedOut)
    else:
        assert isinstance(end.error, ServerFailed)
        assert list(end.error.reasons) == [ONE]
    assert not any(answer.name.endswith(place) for answer in cache.answers(100.0))


def test_a_search_with_clear_answers_only_finds_no_name() -> None:
    end = Net(one=lambda query, stream: no_name(query)).lookup("none", config=SEARCH)
    assert isinstance(end, Failed)
    assert isinstance(end.error, NameNotFound)


@failing
def test_all_servers_are_asked_for_a_name_before_the_next(how: str) -> None:
    config = ResolverConfig(servers=(ONE, TWO), search=("lan",))
    good = at("nowhere", silent, otherwise=no_name)
    net = Net(one=at("lan", FAILURES[how], otherwise=no_name), two=good)
    assert net.lookup("printer", config=config) == Resolved(("192.0.2.3",))
