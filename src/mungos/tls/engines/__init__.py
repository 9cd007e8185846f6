"""The TLS engines, and the choice among them."""

from __future__ import annotations

from mungos.tls.engines.selection import all_engines, check_name, select

__all__ = ["all_engines", "check_name", "select"]
