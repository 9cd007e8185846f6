"""One mbedtls_ssl_context over memory."""

from __future__ import annotations

import ctypes
import os
import weakref

from mungos.errors import Broken, Malformed, PeerMisbehaved
from mungos.protocol import Buffer
from mungos.tls.alerts import AlertDescription
from mungos.tls.contract import Failed, Negotiated
from mungos.tls.engines.foreign.joining import Joiner
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.pipe import Judge, Pipe
from mungos.tls.engines.foreign.records import HEADER
from mungos.tls.engines.foreign.session import Ended
from mungos.tls.engines.foreign.suites import SUITE_NAMES
from mungos.tls.engines.foreign.verdicts import FATAL, alert_named, alert_received, alert_sent
from mungos.tls.engines.mbedtls.callbacks import (
    alert_seen,
    check_certificate,
    next_key,
    pipes,
    raise_trouble,
    receive,
    send,
)
from mungos.tls.engines.mbedtls.checking import must
from mungos.tls.engines.mbedtls.context import Context
from mungos.tls.engines.mbedtls.layout import Memory
from mungos.tls.engines.mbedtls.library import MbedTLS
from mungos.tls.engines.mbedtls.verdicts import (
    FATAL_ALERT,
    NEW_TICKET,
    PEER_CLOSE_NOTIFY,
    WANT_READ,
    deserved_alert,
)

__all__ = ["MbedTLSSession"]

_LARGEST = 1 << 14  # bytes that one call writes at most
_LARGEST_CIPHERTEXT = HEADER + _LARGEST + 256  # bytes, RFC 8446 section 5.2
_CERTIFICATE_REFUSED = -0x2700


class MbedTLSSession:
    """A session; see `mungos.tls.engines.foreign.session.LibrarySession`.

    Args:
        library: Mbed TLS.
        context: shared by the sessions of a configuration.
        outgoing: where ciphertext is left.
        server: the role.
        judge: who believes the peer's certificates; None where they need not be believed.
        must_show: whether the peer has to show one.
        server_name: what a client sends, or None.

    Raises Misuse for a name that the library does not take.
    """

    __slots__ = (
        "__weakref__",
        "_alive",
        "_finalizer",
        "_functions",
        "_joiner",
        "_library",
        "_memory",
        "_must_show",
        "_pipe",
        "_server",
        "_through",
    )

    def __init__(
        self,
        library: MbedTLS,
        context: Context,
        outgoing: Outbox,
        *,
        server: bool,
        judge: Judge | None,
        must_show: bool,
        server_name: str | None = None,
    ) -> None:
        functions = library.functions
        memory = library.layout.allocate("ssl")
        functions.mbedtls_ssl_init(memory)
        key = next_key()
        self._pipe = pipes[key] = Pipe(outgoing, judge)
        # Runs exactly once: at `free`, or where the session is dropped without it. It keeps the context.
        self._finalizer = weakref.finalize(self, _free, library, memory, context, key, os.getpid())
        self._finalizer.atexit = False
        self._alive = True
        self._library = library
        self._functions = functions
        self._memory = memory
        self._must_show = must_show
        self._server = server
        self._through = False
        self._joiner = Joiner()
        must(library, "the configuration for a session", functions.mbedtls_ssl_setup(memory, context.memory))
        if not server:
            # None says that the name is not the library's affair, which it wants to hear.
            name = server_name.encode("ascii") if server_name is not None else None
            must(library, f"server_name {server_name!r}", functions.mbedtls_ssl_set_hostname(memory, name))
        functions.mbedtls_ssl_set_bio(memory, key, send, receive, None)
        functions.mbedtls_ssl_set_verify(memory, check_certificate, key)

    def write(self, data: Buffer, /) -> int:
        """Hand in ciphertext: the first message, then one record at a time."""
        if self._through or (self._server and self._pipe.untouched):
            return self._pipe.write(data)
        self._pipe.write(self._joiner.add(bytes(data)))
        return len(data)

    def handshake(self) -> bool:
        """Go on with the handshake."""
        if not self._alive:
            return False
        before = self._pipe.outgoing.pending
        result = self._functions.mbedtls_ssl_handshake(self._memory)
        self._check()
        if result in (0, WANT_READ) and self._pipe.refusal is not None:
            # Where a certificate is optional, the library lets a bad one pass.
            raise Ended(self._failure(_CERTIFICATE_REFUSED, self._pipe.outgoing.pending))
        if result == 0:
            self._confirm()
            self._pipe.keyed = self._through = True
            return True
        if result == WANT_READ:
            return False
        if result == PEER_CLOSE_NOTIFY:
            raise Ended(alert_received(AlertDescription.close_notify))
        raise Ended(self._failure(result, before))

    def _confirm(self) -> None:
        """Whom nobody has judged is not let in: the library would not have asked."""
        pipe = self._pipe
        if (self._must_show or pipe.chain) and not pipe.judged:
            raise Ended(Failed(Broken("Mbed TLS finished the handshake without asking who the peer is")))

    def _check(self) -> None:
        self._pipe.check()
        raise_trouble()

    def _version(self) -> str:
        version: bytes = self._functions.mbedtls_ssl_get_version(self._memory)
        return version.decode("ascii", "replace")

    def negotiated(self, server_name: str | None) -> Negotiated:
        """What the handshake agreed on."""
        functions, memory = self._functions, self._memory
        suite: bytes = functions.mbedtls_ssl_get_ciphersuite(memory) or b""
        code = functions.mbedtls_ssl_get_ciphersuite_id(suite)
        alpn: bytes | None = functions.mbedtls_ssl_get_alpn_protocol(memory)
        return Negotiated(
            version=self._version(),
            suite=SUITE_NAMES.get(code, suite.decode("ascii", "replace")),
            alpn=alpn.decode("ascii", "replace") if alpn else None,
            server_name=server_name,
            peer_chain=self._pipe.chain,
        )

    def decrypt(self, size: int) -> Buffer | None:
        """The plaintext of what was fed."""
        if not self._alive:
            return None
        if size > _LARGEST_CIPHERTEXT and self._library.speaks_13 and self._version() == "TLSv1.3":
            # RFC 8446 section 5.2: "MUST terminate the connection with a record_overflow alert".
            self.alert(AlertDescription.record_overflow)
            error = Malformed(f"a record of {size} bytes (limit {_LARGEST_CIPHERTEXT} bytes)")
            raise Ended(Failed(error, AlertDescription.record_overflow))
        data = bytearray(size)
        before = self._pipe.outgoing.pending
        read, place = self._functions.mbedtls_ssl_read, ctypes.byref(ctypes.c_char.from_buffer(data))
        count = read(self._memory, place, size)
        while count == NEW_TICKET and self._library.speaks_13:
            count = read(self._memory, place, size)
        del place
        if count > 0:
            del data[count:]
            return data
        self._check()
        if count == WANT_READ:
            return None
        if count == PEER_CLOSE_NOTIFY:
            return b""
        raise Ended(self._failure(count, before))

    def encrypt(self, data: Buffer) -> int:
        """Queue plaintext."""
        if not self._alive:
            return 0
        plain = bytes(data[:_LARGEST])
        before = self._pipe.outgoing.pending
        taken = 0
        while taken < len(plain):
            rest = plain[taken:] if taken else plain
            count = self._functions.mbedtls_ssl_write(self._memory, rest, len(rest))
            if count <= 0:
                self._check()
                raise Ended(self._failure(count, before))
            taken += count
            if len(data) > _LARGEST:
                break  # under TLS 1.3 a record holds one byte less: let it begin the next
        return taken

    def close_notify(self) -> None:
        """Queue close_notify."""
        if self._alive:
            self._functions.mbedtls_ssl_close_notify(self._memory)
            self._pipe.muted = True
            self._check()

    def alert(self, alert: AlertDescription) -> bool:
        """Queue a fatal alert under the keys, if they are on."""
        if not self._alive:
            return False
        sent: int = self._functions.mbedtls_ssl_send_alert_message(self._memory, FATAL, alert)
        self._check()
        return sent == 0

    def free(self) -> None:
        """Give back what the library holds."""
        self._alive = False
        self._finalizer()

    def _failure(self, code: int, before: int) -> Failed:
        if code == FATAL_ALERT:
            number = alert_seen.get()
            alert_seen.set(-1)
            received = alert_named(number)
            if received is not None:
                return alert_received(received)
            error = PeerMisbehaved(f"the peer ended the session with the unknown alert {number}")
            return Failed(error, sent_by_peer=True)
        pipe, library = self._pipe, self._library
        alert = deserved_alert(code, third=library.speaks_13)
        if alert is AlertDescription.certificate_required and self._version() != "TLSv1.3":
            alert = AlertDescription.handshake_failure  # RFC 5246 section 7.4.6
        if pipe.refusal is not None:
            alert = AlertDescription[pipe.refusal.alert]
        if pipe.outgoing.pending == before and not pipe.muted:
            # The library has said nothing.
            self._functions.mbedtls_ssl_send_alert_message(self._memory, FATAL, alert)
        verdict = alert_sent(alert, f"TLS failed: {library.words(code)} ({code:#x})")
        if pipe.refusal is not None:
            return Failed(type(pipe.refusal)(f"the peer's certificate is refused: {pipe.refusal}"), alert)
        return verdict


def _free(library: MbedTLS, memory: Memory, context: Context, key: int, pid: int) -> None:
    pipes.pop(key, None)
    if os.getpid() == pid and context.pid == pid:  # what a fork copied is left alone
        library.functions.mbedtls_ssl_free(memory)
