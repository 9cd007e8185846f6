"""Who takes part: each a server in one process and one thread, which prints `ready` and ends on SIGTERM."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "SERVERS", "Server"]

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks" / "servers"


@dataclass(frozen=True, slots=True)
class Server:
    """A program that serves one protocol.

    Attributes:
        name: what the tables call it; the same name may stand once for each protocol.
        protocol: "http" or "websocket".
        script: its file in benchmarks/servers, started with `--port N`.
        needs: packages that it imports.
    """

    name: str
    protocol: str
    script: str
    needs: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return FOLDER / self.script

    def missing(self) -> str | None:
        """Why it can't take part here, or None when it can."""
        if not self.path.is_file():
            return f"benchmarks/servers/{self.script} is not there"
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return f"not installed: {', '.join(absent)}" if absent else None


SERVERS: tuple[Server, ...] = (
    Server("mungos", "http", "http_hello.py", ("mungos",)),
    Server("uvicorn", "http", "uvicorn_hello.py", ("uvicorn", "httptools", "uvloop")),
    Server("aiohttp", "http", "aiohttp_hello.py", ("aiohttp", "uvloop")),
    Server("aiohttp low-level", "http", "aiohttp_lowlevel.py", ("aiohttp", "uvloop")),
    Server("bare loop", "http", "bare_epoll_http.py"),
    Server("mungos", "websocket", "ws_echo.py", ("mungos",)),
    Server("websockets", "websocket", "websockets_echo.py", ("websockets", "uvloop")),
    Server("picows", "websocket", "picows_echo.py", ("picows", "uvloop")),
    Server("bare loop", "websocket", "bare_epoll_ws.py"),
)
