"""The server under attack: HTTP, HTTPS and WebSocket in one manager. Prints its ports, then `ready`.

python -m benchmarks.hostile.house
"""

from __future__ import annotations

from mungos import Manager, http, tls, websocket

WITHIN = 5.0
"""Seconds that SIGTERM leaves it."""


def on_http(session: http.ServerConnection, event: object) -> None:
    """A GET is answered at its head, anything else at its end."""
    if type(event) is http.Request:
        session.user = event.method
        if event.method == "GET":
            session.respond(200, b"ok", content_type="text/plain")
    elif type(event) is http.EndOfMessage and session.user != "GET":
        session.respond(200, b"ok", content_type="text/plain")


def on_websocket(session: websocket.ServerConnection, event: object) -> None:
    """Echo."""
    if type(event) is websocket.Message:
        session.send(event.data)


def main() -> None:
    """Serve until SIGTERM."""
    from mungos.cli.development_certificate import make_development_certificate

    config = tls.ServerConfig((make_development_certificate().credential,))
    with Manager() as manager:
        listeners = [
            http.listen(manager, "http://127.0.0.1:0", on_http),
            http.listen(manager, "https://127.0.0.1:0", on_http, tls=config),
            websocket.listen(manager, "ws://127.0.0.1:0", on_websocket),
        ]
        print(*(listener.url.port for listener in listeners))
        print("ready", flush=True)
        manager.run(within=WITHIN)


if __name__ == "__main__":
    main()
