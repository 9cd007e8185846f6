"""Two other TLS 1.3 in Python, beside the comparison with `ssl`: tlslite-ng and aioquic's TLS.

Neither does all that the others do. tlslite-ng checks the server's signature, but no chain and no name.
aioquic's TLS is QUIC's: it checks the certificate, but has no records, so its messages are not encrypted.
"""

from __future__ import annotations

import errno
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from benchmarks.tls_ends import NAME, Wanted

__all__ = ["Aioquic", "TlsLite", "missing"]

_MODULES = {"tlslite-ng": "tlslite", "aioquic": "aioquic", "mungos": "cryptography"}


def missing(name: str) -> str | None:
    """Why a contestant can't take part, None when it can."""
    module = _MODULES.get(name)
    if module is None or find_spec(module) is not None:
        return None
    return f"not installed: {module}"


class _Pipe:
    """As much of a non-blocking socket as tlslite-ng calls."""

    def __init__(self) -> None:
        self.incoming = bytearray()
        self.peer: _Pipe | None = None

    def send(self, data: bytes) -> int:
        assert self.peer is not None
        self.peer.incoming += data
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.send(data)

    def recv(self, size: int) -> bytes:
        if not self.incoming:
            raise OSError(errno.EWOULDBLOCK, "nothing there")
        data = bytes(self.incoming[:size])
        del self.incoming[:size]
        return data


class TlsLite:
    """tlslite-ng over a pair of buffers."""

    def __init__(self, wanted: Wanted) -> None:
        self._api: Any = import_module("tlslite.api")
        self._chain = self._api.X509CertChain()
        self._chain.parsePemList(wanted.chain.decode("ascii"))
        self._key = self._api.parsePEMKey(wanted.key.decode("ascii"), private=True)
        self._ciphers = {
            "TLS_AES_128_GCM_SHA256": ["aes128gcm"],
            "TLS_AES_256_GCM_SHA384": ["aes256gcm"],
            "TLS_CHACHA20_POLY1305_SHA256": ["chacha20-poly1305"],
        }[wanted.suite]

    def _settings(self) -> Any:
        settings = self._api.HandshakeSettings()
        settings.minVersion = settings.maxVersion = (3, 4)
        settings.cipherNames = self._ciphers
        settings.eccCurves = ["x25519", "secp256r1"]  # the second for the certificate's key
        settings.keyShares = ["x25519"]
        settings.ticket_count = 0
        return settings

    def handshake(self) -> OpenTlsLite:
        one, other = _Pipe(), _Pipe()
        one.peer, other.peer = other, one
        client, server = self._api.TLSConnection(one), self._api.TLSConnection(other)
        waiting = [
            client.handshakeClientCert(settings=self._settings(), serverName=NAME, async_=True),
            server.handshakeServerAsync(
                certChain=self._chain, privateKey=self._key, settings=self._settings()
            ),
        ]
        while waiting:
            for steps in tuple(waiting):
                for _ in steps:
                    break
                else:
                    waiting.remove(steps)
        return OpenTlsLite(client, server)

    def resume(self) -> OpenTlsLite:
        raise NotImplementedError


class OpenTlsLite:
    """A session of tlslite-ng."""

    resumed = False

    def __init__(self, client: Any, server: Any) -> None:
        self.client = client
        self.server = server

    def carry(self, data: bytes, cut: int) -> int:
        for _ in self.client.writeAsync(data):
            pass
        size = len(data)
        for read in self.server.readAsync(max=size, min=size):
            if not isinstance(read, int):
                return len(read)
        raise RuntimeError("the session lost data")

    def both_ways(self, data: bytes) -> None:
        if self.carry(data, 0) != len(data):
            raise RuntimeError("the session lost data")

    def release(self) -> None:
        pass

    @property
    def suite(self) -> str:
        number = self.client.session.cipherSuite
        return str(import_module("tlslite.constants").CipherSuite.ietfNames[number])


class Aioquic:
    """aioquic's TLS, messages handed over as they are."""

    def __init__(self, wanted: Wanted) -> None:
        self._tls: Any = import_module("aioquic.tls")
        self._buffer: Any = import_module("aioquic.buffer").Buffer
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        self._roots = wanted.roots
        self._certificate = x509.load_pem_x509_certificate(wanted.chain)
        self._key = load_pem_private_key(wanted.key, None)
        name = wanted.suite.removeprefix("TLS_")
        self._suites = [self._tls.CipherSuite[name]]

    def handshake(self) -> OpenAioquic:
        tls = self._tls
        client = tls.Context(is_client=True, cadata=self._roots, server_name=NAME, cipher_suites=self._suites)
        server = tls.Context(is_client=False, cipher_suites=self._suites)
        server.certificate, server.certificate_private_key = self._certificate, self._key
        client._supported_groups = server._supported_groups = [tls.Group.X25519]
        # QUIC's transport parameters would stand here; a server insists on the same list only.
        flights = b""
        ends = [client, server]
        for turn in range(4):
            out = {epoch: self._buffer(capacity=8192) for epoch in tls.Epoch}
            ends[turn % 2].handle_message(flights, out)
            flights = b"".join(buffer.data for buffer in out.values())
        if {end.state for end in ends} != {tls.State.CLIENT_POST_HANDSHAKE, tls.State.SERVER_POST_HANDSHAKE}:
            raise RuntimeError(f"no session: {[end.state for end in ends]}")
        return OpenAioquic(client)

    def resume(self) -> OpenAioquic:
        raise NotImplementedError


class OpenAioquic:
    """A handshake of aioquic's that is through."""

    resumed = False

    def __init__(self, client: Any) -> None:
        self.client = client

    def carry(self, data: bytes, cut: int) -> int:
        raise NotImplementedError

    def both_ways(self, data: bytes) -> None:
        """There are no records to carry anything in."""

    def release(self) -> None:
        pass

    @property
    def suite(self) -> str:
        return "TLS_" + str(self.client.key_schedule.cipher_suite.name)
