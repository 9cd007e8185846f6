"""websockets (its asyncio server) on uvloop, compression off: every message goes back as it came."""

from __future__ import annotations

import argparse
import asyncio
import signal

import uvloop  # type: ignore[import-not-found, unused-ignore]
from websockets.asyncio.server import (  # type: ignore[import-not-found, unused-ignore]
    ServerConnection,
    serve,
)


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def run(port: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with serve(echo, "127.0.0.1", port, compression=None, close_timeout=2):
        print("ready", flush=True)
        await stopped.wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    uvloop.run(run(options.parse_args().port))
