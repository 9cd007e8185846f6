"""Several managers in one thread, closed as one: their connections may be each other's peers."""

from __future__ import annotations

import selectors
from collections.abc import Sequence

from mungos import checking
from mungos.core.closing import CloseReport
from mungos.core.manager import Manager

__all__ = ["close_all"]


def close_all(managers: Sequence[Manager], within: float) -> list[CloseReport]:
    """Close several managers under one deadline.

    Args:
        managers: each belongs to this thread.
        within: seconds for all together.

    Returns:
        Their reports, in order.
    """
    checking.items("managers", managers, Manager, write="[manager]")
    checking.seconds("within", within, zero=True)
    closings = [manager.begin_close(within) for manager in managers]
    while waiting := [manager for manager in managers if not manager.closed]:
        _wait(waiting)
        for manager in waiting:
            if not manager.closed:
                manager.poll(0)
    return [closing.report for closing in closings]


def _wait(managers: Sequence[Manager]) -> None:
    """Until one of them has something to do."""
    times = [manager.wait_time(None) for manager in managers]
    timeout = min((time for time in times if time is not None), default=None)
    if timeout == 0:
        return
    if any(manager.fileno() < 0 for manager in managers):
        # In memory there is nothing to wait on: with nothing on its way, one moves the clock that all share.
        if not any(manager.wire.wait(0) for manager in managers):
            managers[0].poll(timeout)
        return
    with selectors.DefaultSelector() as selector:
        for manager in managers:
            selector.register(manager.fileno(), selectors.EVENT_READ)
        selector.select(timeout)
