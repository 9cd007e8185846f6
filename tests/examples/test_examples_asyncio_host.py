"""`examples/asyncio_host.py`: a manager in asyncio's loop, with asyncio's own streams as its client."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from pathlib import Path

from examples.asyncio_host import AsyncioHost, echo
from mungos import Connection, Listener, Opened

EXAMPLE = Path(__file__).parents[2] / "examples" / "asyncio_host.py"


def port_of(listener: object) -> int:
    assert isinstance(listener, Listener)
    return listener.url.port


def test_asyncio_host_serves_a_client_of_asyncio_in_the_same_loop() -> None:
    async def main() -> None:
        host = AsyncioHost()
        port = port_of(host.manager.listen("tcp://127.0.0.1:0", echo))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = bytes(range(256)) * 400
        writer.write(body)
        assert await reader.readexactly(len(body)) == body
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        report = await host.close(within=5)
        assert report.ok, str(report)

    asyncio.run(main())


def test_asyncio_host_fires_timers_in_order_and_on_time(time_factor: float) -> None:
    async def main() -> None:
        tick = 0.01 * time_factor
        host = AsyncioHost()
        loop = asyncio.get_running_loop()
        fired: list[str] = []
        done = asyncio.Event()
        began = loop.time()
        host.manager.call_later(2 * tick, fired.append, "second")
        host.manager.call_later(3 * tick, done.set)
        host.manager.call_later(tick, fired.append, "first")
        cancelled = host.manager.call_later(tick / 2, fired.append, "never")
        cancelled.cancel()
        await done.wait()
        assert loop.time() - began >= 3 * tick
        assert fired == ["first", "second"]
        assert (await host.close()).ok

    asyncio.run(main())


def test_asyncio_host_runs_what_another_thread_asks_for() -> None:
    async def main() -> None:
        host = AsyncioHost()
        done = asyncio.Event()
        await asyncio.to_thread(host.manager.call_soon, done.set)
        await done.wait()
        assert (await host.close()).ok

    asyncio.run(main())


def test_asyncio_host_does_not_turn_while_nothing_happens() -> None:
    async def main() -> None:
        host = AsyncioHost()
        opened = asyncio.Event()

        def on_event(connection: Connection, event: object) -> None:
            if isinstance(event, Opened):
                opened.set()

        port = port_of(host.manager.listen("tcp://127.0.0.1:0", on_event))
        host.manager.call_later(3600, print)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await opened.wait()
        for _ in range(100):  # what was still to be done is done now
            await asyncio.sleep(0)
        before = host.turns
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert host.turns == before
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        report = await host.close()
        assert report.ok, str(report)
        assert report.cancelled_timers == 1

    asyncio.run(main())


def test_asyncio_host_close_is_bounded_by_its_deadline_when_the_peer_is_silent() -> None:
    async def main() -> None:
        host = AsyncioHost()
        port = port_of(host.manager.listen("tcp://127.0.0.1:0", echo))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"?")
        assert await reader.readexactly(1) == b"?"
        report = await host.close(within=0.05)
        # All of ours was sent, and the client did not end its side.
        assert report.ok
        assert len(report.forced) == 1
        assert await reader.read() == b""
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    asyncio.run(main())


def test_asyncio_host_as_a_program_ends_by_sigterm() -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", str(EXAMPLE), "tcp://127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith(b"listening at tcp://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate()
    assert (process.returncode, error) == (0, b"")
    assert out.startswith(b"closed in ")
