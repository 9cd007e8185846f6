"""HTTP load: keep-alive connections, varied GETs, one in flight on each, every answer checked."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from benchmarks.load.answers import check_http
from benchmarks.load.closed_loop import Measured, connect, run
from benchmarks.load.options import load_options, report
from benchmarks.load.requests import http_pool


def main() -> int:
    options = load_options(__doc__ or "").parse_args()

    def measure() -> Measured:
        with ExitStack() as closing:
            sockets = [closing.enter_context(connect(options.port)) for _ in range(options.connections)]
            return run(
                sockets,
                http_pool(options.pool, seed=options.seed),
                check_http,
                server_pid=options.server_pid,
                warm_up=options.warm_up,
                seconds=options.seconds,
                requests=options.requests,
            )

    return report(measure)


if __name__ == "__main__":
    sys.exit(main())
