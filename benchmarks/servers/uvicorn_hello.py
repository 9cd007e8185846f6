"""uvicorn with httptools on uvloop, no access log: a bare ASGI application that answers all with `ok`."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, MutableMapping

import uvicorn  # type: ignore[import-not-found, unused-ignore]

Message = MutableMapping[str, object]

HEADERS = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"2")]


async def application(
    _scope: Message,
    _receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"ok"})


class AnnouncingServer(uvicorn.Server):  # type: ignore[misc, unused-ignore]
    """Prints `ready` once the sockets listen."""

    async def startup(self, *args: object, **named: object) -> None:
        await super().startup(*args, **named)
        print("ready", flush=True)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    AnnouncingServer(
        uvicorn.Config(
            application,
            host="127.0.0.1",
            port=options.parse_args().port,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            backlog=8192,
            timeout_graceful_shutdown=2,
        )
    ).run()
