"""The kernel's poller: epoll where it is, else what the standard library's `selectors` choose."""

from __future__ import annotations

import select
import selectors
from typing import Protocol as Contract

from mungos.wires.contract import READABLE, WRITABLE

__all__ = ["Poller", "SelectorPoller", "make_poller"]


class Poller(Contract):
    """Level-triggered readiness, masks as in `mungos.wires.contract`."""

    def register(self, fd: int, interest: int) -> None: ...
    def modify(self, fd: int, interest: int) -> None: ...
    def unregister(self, fd: int) -> None: ...
    def poll(self, timeout: float | None) -> list[tuple[int, int]]: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class SelectorPoller:
    """The same over `selectors`. A descriptor without interest is left out of the selector altogether."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._asleep: set[int] = set()

    def register(self, fd: int, interest: int) -> None:
        if interest:
            self._selector.register(fd, _events(interest))
        else:
            self._asleep.add(fd)

    def modify(self, fd: int, interest: int) -> None:
        if fd in self._asleep:
            if interest:
                self._asleep.discard(fd)
                self._selector.register(fd, _events(interest))
        elif interest:
            self._selector.modify(fd, _events(interest))
        else:
            self._selector.unregister(fd)
            self._asleep.add(fd)

    def unregister(self, fd: int) -> None:
        if fd in self._asleep:
            self._asleep.discard(fd)
        else:
            self._selector.unregister(fd)

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        return [
            (
                key.fd,
                (READABLE if mask & selectors.EVENT_READ else 0)
                | (WRITABLE if mask & selectors.EVENT_WRITE else 0),
            )
            for key, mask in self._selector.select(timeout)
        ]

    def fileno(self) -> int:
        fileno = getattr(self._selector, "fileno", None)
        if fileno is None:
            raise OSError("this system's poller has no descriptor for a host to watch")
        number: int = fileno()
        return number

    def close(self) -> None:
        self._selector.close()


def _events(interest: int) -> int:
    return (selectors.EVENT_READ if interest & READABLE else 0) | (
        selectors.EVENT_WRITE if interest & WRITABLE else 0
    )


def make_poller() -> Poller:
    """The best poller of this system."""
    if hasattr(select, "epoll"):
        return select.epoll()
    return SelectorPoller()
