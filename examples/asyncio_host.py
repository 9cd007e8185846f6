"""A manager inside asyncio: python examples/asyncio_host.py [tcp://127.0.0.1:7007]"""

from __future__ import annotations

import asyncio
import math
import signal
import sys

from mungos import CloseReport, Connection, Manager, Received


class AsyncioHost:
    """One reader and one timer of asyncio's loop turn the manager. Make it inside a coroutine."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = asyncio.Event()
        self.turns = 0
        self.manager = Manager(host=self)
        self._fd = self.manager.fileno()
        self._loop.add_reader(self._fd, self._turn)

    def wake_at(self, when: float) -> None:
        """The manager's wish: a turn at this instant, on the monotonic clock that both use."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._turn) if when < math.inf else None

    def _turn(self) -> None:
        self.turns += 1
        self.manager.turn(self._loop.time())
        if self.manager.closed:
            self._loop.remove_reader(self._fd)
            self.wake_at(math.inf)
            self._closed.set()

    async def close(self, within: float | None = None) -> CloseReport:
        """Close the manager, at most `within` seconds, while asyncio goes on."""
        closing = self.manager.begin_close(within)
        await self._closed.wait()
        return closing.report


def echo(connection: Connection, event: object) -> None:
    """Mungos' part: send back what comes."""
    if isinstance(event, Received) and not connection.send(event.data):
        connection.abort("it sends and does not read")


async def main(url: str = "tcp://127.0.0.1:7007") -> int:
    """asyncio's part: wait for a signal, here; status 0 when nothing was left open."""
    host, stop = AsyncioHost(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print("listening at", host.manager.listen(url, echo).url, flush=True)
    await stop.wait()
    print(report := await host.close(within=2.0))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
