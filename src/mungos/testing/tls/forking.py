"""What a forked child sees and says (T91)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable

from mungos.errors import MungosError

__all__ = ["in_child", "refusal"]


def in_child(work: Callable[[], str]) -> tuple[str, Callable[[], None]]:
    """Fork; the child does the work and stays, with all that it inherited, until it is let go.

    Returns:
        What the work said, or the exception that it ended with; and what lets the child go.
    """
    read, write = os.pipe()
    stay_read, stay_write = os.pipe()
    with warnings.catch_warnings():
        # There may be threads here, as a test runner's watchdog; the child does little enough to be safe.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        try:
            os.close(stay_write)
            try:
                said = work()
            except BaseException as error:  # noqa: BLE001 - told to the parent
                said = repr(error)
            os.write(write, said.encode())
            os.close(write)
            os.read(stay_read, 1)
        finally:
            os._exit(0)
    os.close(write)
    os.close(stay_read)
    with os.fdopen(read) as answer:
        said = answer.read()

    def let_go() -> None:
        os.close(stay_write)
        os.waitpid(pid, 0)

    return said, let_go


def refusal(call: Callable[[], object]) -> str:
    """The error of a call, or "nothing"."""
    try:
        call()
    except MungosError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"
