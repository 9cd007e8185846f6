"""What tests of networking programs can use. Each conformance kit is a package: `mungos.testing.tls`."""

from __future__ import annotations

__all__: list[str] = []
