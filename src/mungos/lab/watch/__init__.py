"""Starts a command, watches it, explains why it does not end, and ends it."""

from __future__ import annotations

from mungos.lab.watch.run import run
from mungos.lab.watch.stopping import Stopped

__all__ = ["Stopped", "run"]
