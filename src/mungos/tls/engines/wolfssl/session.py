"""One WOLFSSL over memory."""

from __future__ import annotations

import ctypes
import os
import weakref

from mungos.errors import Broken
from mungos.protocol import Buffer
from mungos.tls.alerts import AlertDescription
from mungos.tls.contract import Failed, Negotiated
from mungos.tls.engines.foreign.joining import Joiner
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.pipe import Judge, Pipe
from mungos.tls.engines.foreign.records import HEADER
from mungos.tls.engines.foreign.session import Ended
from mungos.tls.engines.foreign.suites import SUITE_NAMES
from mungos.tls.engines.foreign.verdicts import FATAL, plain_alert
from mungos.tls.engines.wolfssl.callbacks import pipes
from mungos.tls.engines.wolfssl.checking import OK, made, must, words
from mungos.tls.engines.wolfssl.context import Context
from mungos.tls.engines.wolfssl.library import AlertHistory
from mungos.tls.engines.wolfssl.verdicts import WANT_READ, ZERO_RETURN, deserved_alert, failure

__all__ = ["WolfSSLSession"]

_CONTINUE_ON_MISMATCH = 2  # WOLFSSL_ALPN_CONTINUE_ON_MISMATCH
_HOST_NAME = 0  # WOLFSSL_SNI_HOST_NAME
_NO_ERRORS = (AlertDescription.close_notify, AlertDescription.user_canceled)
_CHANGE_CIPHER_SPEC = 20


class WolfSSLSession:
    """A session; see `mungos.tls.engines.foreign.session.LibrarySession`.

    Args:
        library: wolfSSL.
        context: shared by the sessions of a configuration.
        outgoing: where ciphertext is left.
        server: the role.
        judge: who believes the peer's certificates; None where they need not be believed.
        must_show: whether the peer has to show one.
        server_name: what a client sends, or None.
        alpn: a client's offers, joined by commas; a server's choice.

    Raises Misuse for a name or protocols that the library does not take.
    """

    __slots__ = (
        "__weakref__",
        "_clear",
        "_context",
        "_finalizer",
        "_handshake",
        "_joiner",
        "_library",
        "_must_show",
        "_pipe",
        "_pointer",
        "_server",
        "_through",
    )

    def __init__(
        self,
        library: ctypes.CDLL,
        context: Context,
        outgoing: Outbox,
        *,
        server: bool,
        judge: Judge | None,
        must_show: bool,
        server_name: str | None = None,
        alpn: bytes = b"",
    ) -> None:
        pointer = made("wolfSSL_new", library.wolfSSL_new(context.pointer))
        self._pointer: int | None = pointer
        self._pipe = pipes[pointer] = Pipe(outgoing, judge)
        # Runs exactly once: at `free`, or where the session is dropped without it.
        self._finalizer = weakref.finalize(self, _free, library, pointer, os.getpid())
        self._finalizer.atexit = False
        self._joiner = Joiner()
        self._through = False
        self._library = library
        self._context = context
        self._must_show = must_show
        self._server = server
        self._clear = True
        self._handshake = library.wolfSSL_accept if server else library.wolfSSL_connect
        if server_name is not None:
            name = server_name.encode("ascii")
            result = library.wolfSSL_UseSNI(pointer, _HOST_NAME, name, len(name))
            must(library, f"server_name {server_name!r}", result)
        if alpn:
            result = library.wolfSSL_UseALPN(pointer, alpn, len(alpn), _CONTINUE_ON_MISMATCH)
            must(library, f"alpn {alpn!r}", result)

    def write(self, data: Buffer, /) -> int:
        """Hand in ciphertext: the first message, then one record at a time."""
        pipe = self._pipe
        if self._through or (self._server and pipe.untouched):
            # What a server gets first is a whole ClientHello already.
            return pipe.write(data)
        record = bytes(data)
        if record[0] == _CHANGE_CIPHER_SPEC and record[HEADER:] == b"\1" and not pipe.untouched:
            # RFC 8446 section 5: it is dropped, wherever it stands in the handshake.
            if self._version() == "TLSv1.3":
                return len(data)
        pipe.write(self._joiner.add(record))
        return len(data)

    def handshake(self) -> bool:
        """Go on with the handshake."""
        pointer, pipe = self._pointer, self._pipe
        if pointer is None:
            return False
        clear = self._clear
        result = self._handshake(pointer)
        pipe.check()
        if result == OK:
            self._confirm()
            pipe.keyed = self._through = True
            return True
        code = self._library.wolfSSL_get_error(pointer, result)
        if code == WANT_READ:
            # Nothing was read; or keys are agreed on, but not in use before change_cipher_spec.
            self._clear = pipe.untouched or (not pipe.keyed and self._version() == "TLSv1.2")
            self._look_for_alert()
            return False
        raise Ended(self._failure(code, clear and not pipe.keyed))

    def _version(self) -> str:
        version: bytes = self._library.wolfSSL_get_version(self._pointer)
        return version.decode("ascii", "replace")

    def _confirm(self) -> None:
        """Whom nobody has judged is not let in: the library would not have asked."""
        pipe = self._pipe
        if (self._must_show or pipe.chain) and not pipe.judged:
            raise Ended(Failed(Broken("wolfSSL finished the handshake without asking who the peer is")))

    def negotiated(self, server_name: str | None) -> Negotiated:
        """What the handshake agreed on."""
        library, pointer = self._library, self._pointer
        code = library.wolfSSL_get_current_cipher_suite(pointer)
        name, size = ctypes.c_void_p(), ctypes.c_ushort()
        found = library.wolfSSL_ALPN_GetProtocol(pointer, ctypes.byref(name), ctypes.byref(size)) == OK
        alpn = ctypes.string_at(name.value, size.value) if found and name.value else b""
        group = library.wolfSSL_get_curve_name(pointer)
        return Negotiated(
            version=self._version(),
            suite=SUITE_NAMES.get(code, f"0x{code:04X}"),
            group=group.decode("ascii").lower() if group else None,
            alpn=alpn.decode("ascii", "replace") or None,
            server_name=server_name,
            resumed=bool(library.wolfSSL_session_reused(pointer)),
            peer_chain=self._pipe.chain,
        )

    def decrypt(self, size: int) -> Buffer | None:
        """The plaintext of what was fed."""
        pointer = self._pointer
        if pointer is None:
            return None
        data = bytearray(size)
        count = self._library.wolfSSL_read(pointer, ctypes.byref(ctypes.c_char.from_buffer(data)), size)
        if count > 0:
            del data[count:]
            return data
        self._pipe.check()
        code = self._library.wolfSSL_get_error(pointer, count)
        if code == WANT_READ:
            self._look_for_alert()
            return None
        if code == ZERO_RETURN:
            return b""
        raise Ended(self._failure(code, clear=False))

    def encrypt(self, data: Buffer) -> int:
        """Queue plaintext."""
        pointer = self._pointer
        if pointer is None:
            return 0
        plain = bytes(data)
        count: int = self._library.wolfSSL_write(pointer, plain, len(plain))
        if count <= 0:
            self._pipe.check()
            raise Ended(self._failure(self._library.wolfSSL_get_error(pointer, count), clear=False))
        return count

    def close_notify(self) -> None:
        """Queue close_notify."""
        pointer = self._pointer
        if pointer is None:
            return
        self._library.wolfSSL_shutdown(pointer)
        self._pipe.muted = True
        self._pipe.check()

    def alert(self, alert: AlertDescription) -> bool:
        """False: wolfSSL has no function for it."""
        return False

    def free(self) -> None:
        """Give back what the library holds."""
        self._pointer = None
        self._finalizer()

    def _history(self) -> AlertHistory:
        history = AlertHistory(-1, -1, -1, -1)
        self._library.wolfSSL_get_alert_history(self._pointer, ctypes.byref(history))
        return history

    def _look_for_alert(self) -> None:
        """RFC 8446 section 6: all alerts but two end the session, whatever their level. The library passes
        over warnings, as is right under TLS 1.2 alone."""
        history = self._history()
        if history.received_level <= 0 or history.received_code in _NO_ERRORS:
            return
        if history.received_level == FATAL or self._version() == "TLSv1.3":
            raise Ended(failure(0, "", history))

    def _failure(self, code: int, clear: bool) -> Failed:
        library = self._library
        history = self._history()
        verdict = failure(code, words(library, code), history)
        if verdict.sent_by_peer:
            return verdict  # also where its alert has no name: an alert is not answered
        refusal = self._pipe.refusal
        if refusal is not None:
            return Failed(type(refusal)(f"the peer's certificate is refused: {refusal}"), verdict.alert)
        if clear and verdict.alert is None:
            alert = deserved_alert(code)
            self._pipe.outgoing.write(plain_alert(alert))
            return Failed(verdict.error, alert)
        return verdict


def _free(library: ctypes.CDLL, pointer: int, pid: int) -> None:
    pipes.pop(pointer, None)
    if os.getpid() == pid:  # what a fork copied is left alone
        library.wolfSSL_free(pointer)
