"""The options that the load processes share, and how they report: one line of JSON, the last one printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from benchmarks.load.answers import WrongAnswer
from benchmarks.load.closed_loop import Measured

__all__ = ["load_options", "report"]


def load_options(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server-pid", type=int, required=True)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--warm-up", type=float, default=0.2, help="seconds, uncounted")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--requests", type=int, default=None)
    parser.add_argument("--pool", type=int, default=512, help="how many different requests")
    parser.add_argument("--seed", type=int, default=1)
    return parser


def report(measure: Callable[[], Measured]) -> int:
    """Print what `measure` returns, or what went wrong with the server; the exit status says which."""
    try:
        measured = measure()
    except (OSError, WrongAnswer) as fault:
        print(f"{type(fault).__name__}: {fault}", file=sys.stderr)
        return 1
    print(json.dumps(measured.as_json()), flush=True)
    return 0
