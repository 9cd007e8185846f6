"""Two echoes and a forged datagram: the game ends, however long the way is, and who only asks is answered."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import pairwise

import pytest

from mungos.cli.echo import _Answers
from mungos.wires import Address

RATE = 1000
MOST = 1000  # answers in a row
HOUR = 3600.0


def peer(number: int) -> Address:
    return Address("192.0.2.1", 2000 + number, 4)


def play(pairs: int, datagrams: int, round_trip: float) -> int:
    """One echo against so many others: how many answers until the last datagram is lost."""
    one, others = _Answers(), [_Answers() for _ in range(pairs)]
    most, answers = 2 * MOST * pairs * datagrams, 0
    under_way: list[tuple[float, int, bool]] = [
        (0.0, number, True) for number in range(pairs) for _ in range(datagrams)
    ]
    while under_way and answers <= most:
        now, number, ours = heapq.heappop(under_way)
        echo, whose = (one, peer(number)) if ours else (others[number], peer(0))
        if echo.allow(whose, now):
            answers += 1
            heapq.heappush(under_way, (now + round_trip / 2, number, not ours))
    return answers


@pytest.mark.parametrize("datagrams", [1, 5, 40])
@pytest.mark.parametrize("round_trip", [0.0001, 0.01, 0.25, HOUR])
def test_a_game_of_two_echoes_ends_at_any_round_trip_time(round_trip: float, datagrams: int) -> None:
    assert play(1, datagrams, round_trip) <= MOST * (datagrams + 1)


def test_games_with_more_peers_than_are_remembered_end_too() -> None:
    answers, echo = 0, _Answers()
    # The others are no echoes of ours: they answer whatever comes, one after the other.
    playing: Iterable[int] = range(3000)
    for turn in range(3 * MOST):
        playing = [number for number in playing if echo.allow(peer(number), turn * 1.0)]
        answers += len(playing)
        if not playing:
            break
    assert not playing
    assert answers <= MOST * 3000


@pytest.mark.parametrize("pause", [0.0, 0.01, 1.0])
def test_a_client_that_asks_a_thousand_times_misses_nothing(pause: float) -> None:
    echo = _Answers()
    assert all(echo.allow(peer(0), number * pause) for number in range(MOST))


def test_a_client_that_asks_all_day_misses_one_of_a_thousand_and_never_two_in_a_row() -> None:
    echo = _Answers()
    answered = [echo.allow(peer(0), number / (RATE / 2)) for number in range(100 * (MOST + 1))]
    assert answered.count(False) == 100
    assert all(one or other for one, other in pairwise(answered))


def test_who_asks_too_often_is_held_to_the_rate() -> None:
    echo = _Answers()
    answered = sum(echo.allow(peer(0), number / (10 * RATE)) for number in range(100 * RATE))
    assert answered == pytest.approx(11 * RATE, rel=0.01)


def test_one_peers_game_costs_another_nothing() -> None:
    echo = _Answers()
    for number in range(10 * MOST):
        echo.allow(peer(1), number * 0.002)
        if not number % 20:
            assert echo.allow(peer(2), number * 0.002)
