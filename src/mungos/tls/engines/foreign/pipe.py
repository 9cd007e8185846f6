"""What stands between a C library and its session: the functions that C calls end here.

No exception may leave a function that C calls: ctypes prints it, and C gets a zero. What is raised in one,
KeyboardInterrupt above all, is kept, and raised again as soon as the library has returned.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

from mungos.protocol import Buffer
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.records import HEADER
from mungos.x509 import CertificateError

__all__ = ["Judge", "Pipe"]

Judge = Callable[[Sequence[bytes]], CertificateError | None]
"""Why a chain (DER, leaf first) is refused; None where it is believed."""


_CHANGE_CIPHER_SPEC = 20


def _holds_change_cipher_spec(records: bytes) -> bool:
    at = 0
    while at + HEADER <= len(records):
        if records[at] == _CHANGE_CIPHER_SPEC:
            return True
        at += HEADER + (records[at + 3] << 8 | records[at + 4])
    return False


class Pipe:
    """The bytes of one session on their way in and out, and what was said of the peer's certificates.

    Attributes:
        outgoing: ciphertext that the library sent.
        muted: what the library still sends is dropped: after our close_notify nothing follows.
        chain: what the peer showed, DER, leaf first.
        judged: whether `judge` has believed the chain.
        refusal: why it has not.
        keyed: whether the library has sent a change_cipher_spec, or got through the handshake: what it sends
            after it is encrypted under TLS 1.2.
        untouched: whether the library has read nothing yet.
    """

    __slots__ = (
        "_at",
        "_data",
        "_judge",
        "_trouble",
        "chain",
        "judged",
        "keyed",
        "muted",
        "outgoing",
        "refusal",
        "untouched",
    )

    def __init__(self, outgoing: Outbox, judge: Judge | None) -> None:
        self.outgoing = outgoing
        self.muted = False
        self.chain: tuple[bytes, ...] = ()
        self.judged = False
        self.refusal: CertificateError | None = None
        self.untouched = True
        self.keyed = False
        self._judge = judge
        self._data = b""
        self._at = 0
        self._trouble: BaseException | None = None

    def write(self, data: Buffer, /) -> int:
        """Bytes for the library."""
        rest = self._data[self._at :]
        self._data = rest + data if rest else bytes(data)
        self._at = 0
        return len(data)

    def pull(self, address: int, size: int) -> int:
        """Called by C: copy what is there. Returns bytes copied, 0 where none is there, -1 for trouble."""
        try:
            at = self._at
            data = self._data[at : at + size]
            ctypes.memmove(address, data, len(data))
            if data:
                self._at = at + len(data)
                self.untouched = False
            return len(data)
        except BaseException as error:  # noqa: BLE001  raised again by `check`
            self._trouble = error
            return -1

    def push(self, address: int, size: int) -> int:
        """Called by C: take what is sent. Returns `size`, or -1 for trouble."""
        try:
            if not self.muted:
                data = ctypes.string_at(address, size)
                self.outgoing.write(data)
                if not self.keyed:
                    self.keyed = _holds_change_cipher_spec(data)
        except BaseException as error:  # noqa: BLE001  raised again by `check`
            self._trouble = error
            return -1
        return size

    def judge(self, read_chain: Callable[[], Sequence[bytes]], empty: bool = False) -> bool:
        """Called by C: whether the chain that `read_chain` gets is believed; `empty` where there is none.
        Trouble is no."""
        try:
            self.judged = False
            self.chain = tuple(read_chain())
            if not self.chain:
                return empty
            self.refusal = self._judge(self.chain) if self._judge is not None else None
            self.judged = self.refusal is None
        except BaseException as error:  # noqa: BLE001  raised again by `check`
            self._trouble = error
        return self.judged

    def check(self) -> None:
        """Raise what was kept."""
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble
