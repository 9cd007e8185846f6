"""aiohttp on uvloop: an application with one route, which answers every GET with `ok`."""

from __future__ import annotations

import argparse
import asyncio
import signal

import uvloop  # type: ignore[import-not-found, unused-ignore]
from aiohttp import web  # type: ignore[import-not-found, unused-ignore]


async def hello(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def serve(port: int) -> None:
    application = web.Application()
    application.router.add_get("/{path:.*}", hello)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=8192).start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print("ready", flush=True)
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    uvloop.run(serve(options.parse_args().port))
