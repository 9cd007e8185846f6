"""Our HTTP server of the benchmark: GET / answers 200, text/plain, `ok`. One process; prints `ready`.

python benchmarks/servers/http_hello.py --port 8080 [--tls ENGINE]
"""

from __future__ import annotations

import argparse

from mungos import Manager, http


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

    def handler(session: http.ServerConnection, event: object) -> None:
        if type(event) is http.Request:
            session.respond(200, b"ok", content_type="text/plain")

    with Manager() as manager:
        scheme = "http" if tls is None else "https"
        http.listen(
            manager, f"{scheme}://127.0.0.1:{options.port}", handler, tls=tls, engine=options.tls or "auto"
        )
        print("ready", flush=True)
        manager.run()


if __name__ == "__main__":
    main()
