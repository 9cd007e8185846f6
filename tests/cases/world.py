"""The world of the lifecycle cases, which is the conformance kit's."""

from __future__ import annotations

from mungos.testing.tls.world import Notes, RawListener, RawPeer, Stuck, WireName, World

__all__ = ["Notes", "RawListener", "RawPeer", "Stuck", "WireName", "World"]
