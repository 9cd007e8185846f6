"""A file of TLS session keys, for whoever must look into the traffic (RFC 9850)."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mungos.cli.statuses import NotStarted
from mungos.own_files import open_to_append

__all__ = ["KeyLog"]


class KeyLog:
    """Takes the lines of the key log; each stands in the file before the handshake goes on.

    Args:
        path: appended to; ours, no link and no other name of a file. It is made readable for its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def open(self) -> None:
        """Open it, and say so on standard error. Closed with the command that runs.

        Raises NotStarted.
        """
        try:
            descriptor = open_to_append(os.fspath(self._path))
        except OSError as error:
            raise NotStarted(f"can't write {self._path}: {error.strerror}") from None
        self._descriptor = descriptor
        click.get_current_context().call_on_close(self.close)
        _warn(f"--tls-keylog: session keys are written to {self._path}: who reads it reads the traffic")

    def close(self) -> None:
        """No more lines. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __call__(self, line: str) -> None:
        """One line, without its end. What can't be written is said once; the traffic goes on."""
        if self._descriptor < 0:
            return
        try:
            os.write(self._descriptor, line.encode("ascii") + b"\n")
        except OSError as error:
            _warn(f"--tls-keylog: can't write {self._path}: {error.strerror}; no more keys are written")
            self.close()


def _warn(line: str) -> None:
    click.echo(f"mungos: {line}", err=True)
