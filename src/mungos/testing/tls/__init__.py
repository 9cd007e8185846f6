"""The conformance kit of TLS engines: `python -m mungos.testing.tls` (docs/tls-conformance.md)."""

from __future__ import annotations

from mungos.testing.tls.case import Case
from mungos.testing.tls.catalogue import catalogue
from mungos.testing.tls.running import cells, run_cell
from mungos.testing.tls.verdicts import Outcome, Verdict

__all__ = ["Case", "Outcome", "Verdict", "catalogue", "cells", "run_cell"]
