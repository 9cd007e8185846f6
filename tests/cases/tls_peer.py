"""A scripted TLS peer over the standard library's session, which is the conformance kit's."""

from __future__ import annotations

from mungos.testing.tls.peers import LibraryPeer as TlsPeer

__all__ = ["TlsPeer"]
