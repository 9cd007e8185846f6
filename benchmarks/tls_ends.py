"""Two ends of TLS 1.3 in memory: mungos's built-in engine, and `ssl` over `MemoryBIO`.

Both have the same certificate, check it and its name, use x25519 and one cipher suite. What is
timed is what a program has to call: ciphertext leaves one end as Python buffers and enters the other.
"""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from typing import Protocol as Contract

from mungos import tls
from mungos.protocol import Buffer
from mungos.tls.sessions import SessionCache, TicketKeys

__all__ = ["NAME", "Contestant", "Mungos", "Open", "StandardLibrary", "Wanted"]

NAME = "localhost"
TURNS = 8
ALL = 1 << 30
READ = 16 * 1024  # what one call of `ssl` can return: the content of one record


@dataclass(frozen=True, slots=True)
class Wanted:
    """What every contestant is given.

    Attributes:
        roots, chain, key: PEM.
        suite: the IANA name of the cipher suite.
    """

    roots: bytes
    chain: bytes
    key: bytes
    suite: str


class Open(Contract):
    """A session whose handshake is through, both ends of it."""

    def carry(self, data: bytes, cut: int) -> int:
        """Write on the client's side, read on the server's. Returns bytes read."""

    def both_ways(self, data: bytes) -> None:
        """There and back, checked."""

    def release(self) -> None:
        """What a program does at a session's end beyond dropping it."""

    @property
    def suite(self) -> str:
        """The IANA name of the cipher suite agreed on."""

    @property
    def resumed(self) -> bool:
        """Whether a ticket was used."""


class Contestant(Contract):
    """A TLS library."""

    def handshake(self) -> Open:
        """A full handshake; no tickets are sent."""

    def resume(self) -> Open:
        """A handshake with the ticket of the one before, which brings a ticket for the next."""


class Mungos:
    """The built-in engine with its default limits."""

    def __init__(self, wanted: Wanted) -> None:
        self._factory = tls.select("builtin")
        credential = tls.Credential(wanted.chain, wanted.key)
        suites, groups = (wanted.suite,), ("x25519",)
        self._client = tls.ClientConfig(roots=wanted.roots, suites=suites, groups=groups)
        self._server = tls.ServerConfig((credential,), suites=suites, groups=groups)
        self._resuming_client = tls.ClientConfig(
            roots=wanted.roots, suites=suites, groups=groups, sessions=SessionCache()
        )
        self._resuming_server = tls.ServerConfig(
            (credential,), suites=suites, groups=groups, tickets=TicketKeys(count=1)
        )

    def handshake(self) -> OpenMungos:
        return self._meet(self._client, self._server)

    def resume(self) -> OpenMungos:
        return self._meet(self._resuming_client, self._resuming_server)

    def _meet(self, client_config: tls.ClientConfig, server_config: tls.ServerConfig) -> OpenMungos:
        client = self._factory.client(client_config, NAME)
        server = self._factory.server(server_config)
        client.start(0.0)
        server.start(0.0)
        for _ in range(TURNS):
            moved = False
            for source, sink in ((client, server), (server, client)):
                for part in source.take(ALL):
                    moved = True
                    sink.receive(part, 0.0)
                while sink.next_event() is not None:
                    pass
            if not moved:
                break
        if client.negotiated is None or server.negotiated is None:
            raise RuntimeError(f"no session: {client.ending or server.ending}")
        return OpenMungos(client, server)


class OpenMungos:
    """A session of the built-in engine."""

    __slots__ = ("client", "server")

    def __init__(self, client: tls.Engine, server: tls.Engine) -> None:
        self.client = client
        self.server = server

    def carry(self, data: bytes, cut: int) -> int:
        return self._carry(self.client, self.server, data, cut)

    def _carry(self, source: tls.Engine, sink: tls.Engine, data: bytes, cut: int) -> int:
        size = len(data)
        written = source.write((data,))
        read = 0
        while True:
            for part in source.take(ALL):
                for piece in (part,) if not cut else pieces(part, cut):
                    if sink.receive(piece, 0.0) != len(piece):
                        raise RuntimeError("the reader did not take all of it")
                    while (event := sink.next_event()) is not None:
                        if isinstance(event, tls.Data):
                            read += len(event.data)
            if written == size:
                return read
            written += source.write((memoryview(data)[written:],))

    def both_ways(self, data: bytes) -> None:
        for source, sink in ((self.client, self.server), (self.server, self.client)):
            if self._carry(source, sink, data, 0) != len(data):
                raise RuntimeError("the session lost data")

    def release(self) -> None:
        self.client.release()
        self.server.release()

    @property
    def suite(self) -> str:
        return "" if self.client.negotiated is None else self.client.negotiated.suite

    @property
    def resumed(self) -> bool:
        ends = (self.client.negotiated, self.server.negotiated)
        return all(negotiated is not None and negotiated.resumed for negotiated in ends)


def pieces(part: Buffer, cut: int) -> list[memoryview]:
    view = memoryview(part)
    return [view[at : at + cut] for at in range(0, len(view), cut)]


class StandardLibrary:
    """`ssl`. Its suites of TLS 1.3 can be chosen from Python 3.15 on; before, by OPENSSL_CONF only."""

    def __init__(self, wanted: Wanted, chain_file: str, key_file: str) -> None:
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client.load_verify_locations(cadata=wanted.roots.decode("ascii"))
        self._server = self._serving(chain_file, key_file, 0)
        self._resuming_server = self._serving(chain_file, key_file, 1)
        for context in (self._client, self._server, self._resuming_server):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            # Some Pythons can't name it; it is OpenSSL's own first choice.
            with contextlib.suppress(ssl.SSLError):
                context.set_ecdh_curve("X25519")
            choose = getattr(context, "set_ciphersuites", None)
            if choose is not None and wanted.suite:
                choose(wanted.suite)
        self._session: ssl.SSLSession | None = None

    def _serving(self, chain_file: str, key_file: str, tickets: int) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain_file, key_file)
        context.num_tickets = tickets
        return context

    def handshake(self) -> OpenStandard:
        return self._meet(self._server, None)

    def resume(self) -> OpenStandard:
        session = self._meet(self._resuming_server, self._session)
        with contextlib.suppress(ssl.SSLWantReadError):
            session.client.read(1)  # the ticket comes behind the handshake
        self._session = session.client.session
        return session

    def _meet(self, server_context: ssl.SSLContext, ticket: ssl.SSLSession | None) -> OpenStandard:
        client_in, client_out, server_in, server_out = (ssl.MemoryBIO() for _ in range(4))
        client = self._client.wrap_bio(client_in, client_out, server_hostname=NAME, session=ticket)
        server = server_context.wrap_bio(server_in, server_out, server_side=True)
        open_ends = 0
        for end, source, sink in (
            (client, client_out, server_in),
            (server, server_out, client_in),
            (client, client_out, server_in),
            (server, server_out, client_in),
        ):
            try:
                end.do_handshake()
                open_ends += 1
            except ssl.SSLWantReadError:
                pass
            if source.pending:
                sink.write(source.read())
        if open_ends != 2:
            raise RuntimeError("no session of ssl")
        return OpenStandard(client, server, (client_in, client_out, server_in, server_out))


class OpenStandard:
    """A session of `ssl`."""

    __slots__ = ("bios", "client", "server")

    def __init__(self, client: ssl.SSLObject, server: ssl.SSLObject, bios: tuple[ssl.MemoryBIO, ...]) -> None:
        self.client = client
        self.server = server
        self.bios = bios

    def carry(self, data: bytes, cut: int) -> int:
        return self._carry(self.client, self.bios[1], self.bios[2], self.server, data, cut)

    def _carry(
        self,
        source: ssl.SSLObject,
        out: ssl.MemoryBIO,
        into: ssl.MemoryBIO,
        sink: ssl.SSLObject,
        data: bytes,
        cut: int,
    ) -> int:
        size = len(data)
        if source.write(data) != size:
            raise RuntimeError("ssl took only a part")
        read = 0
        if not cut:
            into.write(out.read())
            while read < size:
                read += len(sink.read(READ))
            return read
        while out.pending:
            into.write(out.read(cut))
            try:
                while read < size:
                    read += len(sink.read(READ))
            except ssl.SSLWantReadError:
                continue
        return read

    def both_ways(self, data: bytes) -> None:
        client_in, client_out, server_in, server_out = self.bios
        there = self._carry(self.client, client_out, server_in, self.server, data, 0)
        back = self._carry(self.server, server_out, client_in, self.client, data, 0)
        if there != len(data) or back != len(data):
            raise RuntimeError("the session lost data")

    def release(self) -> None:
        pass

    @property
    def suite(self) -> str:
        agreed = self.client.cipher()
        return "" if agreed is None else agreed[0]

    @property
    def resumed(self) -> bool:
        return bool(self.client.session_reused) and bool(self.server.session_reused)
