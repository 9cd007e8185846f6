"""The short way into `mungos lab run`, for a command line without a mistake: past click and its import."""

from __future__ import annotations

import gc
import os
import sys

from mungos.cli.lab_run_options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

__all__ = ["leave", "start"]


def start(arguments: Sequence[str]) -> int | None:
    """Do what the command line asks for.

    Args:
        arguments: what follows `mungos lab run`.

    Returns:
        The exit status; None when nothing was done, because something is wrong that click has to explain.
    """
    request = parse(arguments)
    if request is None:
        return None
    _open_standard_streams()
    gc.disable()  # while modules are made there is no garbage; `work` switches it on before it runs something
    try:
        from mungos.cli.lab_run_work import Unusable, work  # noqa: PLC0415 - wrong usage waits for none of it

        try:
            return work(request)
        except Unusable:
            return None
        except KeyboardInterrupt:  # before the command was started, or after it had ended
            return 128 + 2
    finally:
        gc.enable()


def _open_standard_streams() -> None:
    """Who started us may have closed them; then the next file to be opened would be taken for one."""
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > 2:
            os.close(number)
            return


def leave(status: int) -> NoReturn:
    """End the process at once: everything is written and closed, and to take Python apart takes as long as
    half of its start.

    Args:
        status: to exit with.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            continue  # nobody reads it
    os._exit(status)
