"""Our WebSocket server of the benchmark: echoes at /, no compression. One process; prints `ready`.

python benchmarks/servers/ws_echo.py --port 8080 [--tls ENGINE]
"""

from __future__ import annotations

import argparse

from mungos import Manager, websocket


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls", metavar="ENGINE", default=None)
    options = parser.parse_args()
    tls = None
    if options.tls is not None:
        from mungos.cli.development_certificate import make_development_certificate
        from mungos.tls import ServerConfig

        tls = ServerConfig((make_development_certificate().credential,))

    def handler(session: websocket.ServerConnection, event: object) -> None:
        if type(event) is websocket.Message:
            session.send(event.data)

    with Manager() as manager:
        scheme = "ws" if tls is None else "wss"
        websocket.listen(
            manager, f"{scheme}://127.0.0.1:{options.port}", handler, tls=tls, engine=options.tls or "auto"
        )
        print("ready", flush=True)
        manager.run()


if __name__ == "__main__":
    main()
