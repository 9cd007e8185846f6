"""The key schedule (RFC 8446 section 7), one class a stage, and the transcript hash (section 4.4.1).

`EarlyStage` → `HandshakeStage` → `MasterStage`: a stage can only be had from the one before it, and gives
only the secrets that are its own, so that a secret can't be derived from the wrong place.
"""

from __future__ import annotations

from functools import lru_cache

from mungos.crypto.contract import HASHES, Hash, HashName, Provider
from mungos.errors import Misuse
from mungos.protocol import Buffer
from mungos.tls.engines.builtin.messages.registry import HandshakeType, frame

__all__ = ["EarlyStage", "HandshakeStage", "Kdf", "MasterStage", "Transcript"]

IV_LENGTH = 12


@lru_cache(maxsize=64)
def _label(label: bytes, length: int) -> bytes:
    """HkdfLabel up to its context (section 7.1). Labels are this module's own and the application's."""
    full = b"tls13 " + label
    if len(full) > 255:
        raise Misuse(f"label of {len(label)} bytes; the limit is 249 bytes")
    return b"".join((length.to_bytes(2, "big"), bytes((len(full),)), full))


def _info(label: bytes, length: int, context: Buffer) -> bytes:
    """HkdfLabel (section 7.1): uint16 length, label<7..255>, context<0..255>."""
    return b"".join((_label(label, length), len(context).to_bytes(1, "big"), context))


class Kdf:
    """What is derived from one secret by one hash function. Holds nothing that is secret.

    Args:
        provider: whose HKDF and HMAC.
        hash_name: the suite's hash.

    Attributes:
        early_secret: the Early Secret without a PSK (section 7.1), the same for everybody.
        early_salt: what is derived from it for the Handshake Secret, the same for everybody too.
    """

    __slots__ = (
        "_derived",
        "_empty_hash",
        "_finished",
        "_fixed",
        "_infos",
        "_provider",
        "_starts",
        "early_salt",
        "early_secret",
        "hash_length",
        "hash_name",
    )

    def __init__(self, provider: Provider, hash_name: HashName) -> None:
        self._provider = provider
        self.hash_name = hash_name
        self.hash_length = HASHES[hash_name]
        self._empty_hash = provider.digest(hash_name, b"")
        zeros = bytes(self.hash_length)
        self._fixed: dict[bytes, bytes] = {}  # infos over no messages, by their labels
        self._derived = self._over_nothing(b"derived")
        self._finished = _info(b"finished", self.hash_length, b"")
        self._starts: dict[tuple[bytes, ...], tuple[bytes, ...]] = {}  # of infos, by their labels
        self._infos: dict[int, tuple[bytes, bytes]] = {}  # for the key and the IV, by the key's length
        self.early_secret = self.extract(zeros, zeros)
        self.early_salt = self.derive(self.early_secret, b"derived")

    def extract(self, salt: Buffer, key: Buffer) -> bytes:
        """HKDF-Extract (RFC 5869 section 2.2)."""
        return self._provider.hkdf_extract(self.hash_name, salt, key)

    def expand_label(self, secret: Buffer, label: bytes, context: Buffer, length: int) -> bytes:
        """HKDF-Expand-Label (section 7.1); `length` in bytes."""
        info = _info(label, length, context)
        return self._provider.hkdf_expand(self.hash_name, secret, info, length)

    def derive(self, secret: Buffer, label: bytes, transcript_hash: Buffer | None = None) -> bytes:
        """Derive-Secret (section 7.1); without a transcript over no messages."""
        length = self.hash_length
        if transcript_hash is None:
            info = self._over_nothing(label)
        else:
            info = _info(label, length, transcript_hash)
        return self._provider.hkdf_expand(self.hash_name, secret, info, length)

    def _over_nothing(self, label: bytes) -> bytes:
        """HkdfLabel over no messages; labels are those of the key schedule, so that there are few."""
        info = self._fixed.get(label)
        if info is None:
            info = self._fixed[label] = _info(label, self.hash_length, self._empty_hash)
        return info

    def derive_onward(self, secret: Buffer, label: bytes) -> tuple[bytes, bytes]:
        """Derive-Secret over no messages, for this label and for "derived", which leads to the next stage."""
        infos = self._over_nothing(label), self._derived
        found, derived = self._provider.hkdf_expand_each(self.hash_name, secret, infos)
        return found, derived

    def derive_all(
        self, secret: Buffer, labels: tuple[bytes, ...], transcript_hash: bytes, *, onward: bool
    ) -> list[bytes]:
        """Derive-Secret for several labels and one transcript; with `onward`, behind them for "derived" over
        no messages, which leads to the next stage."""
        starts = self._starts.get(labels)
        if starts is None:
            length = bytes((self.hash_length,))
            starts = tuple(_label(label, self.hash_length) + length for label in labels)
            self._starts[labels] = starts
        infos = [start + transcript_hash for start in starts]
        if onward:
            infos.append(self._derived)
        return self._provider.hkdf_expand_each(self.hash_name, secret, infos)

    def traffic_keys(self, secret: Buffer, key_length: int) -> tuple[bytes, bytes]:
        """The write key and the write IV of a traffic secret (section 7.3)."""
        infos = self._infos.get(key_length)
        if infos is None:
            infos = _info(b"key", key_length, b""), _info(b"iv", IV_LENGTH, b"")
            self._infos[key_length] = infos
        key, iv = self._provider.hkdf_expand_each(self.hash_name, secret, infos)
        # Both are shorter than the hash's output, or as long.
        return key[:key_length], iv[:IV_LENGTH]

    def next_generation(self, secret: Buffer) -> bytes:
        """application_traffic_secret_N+1 (section 7.2)."""
        return self.expand_label(secret, b"traffic upd", b"", self.hash_length)

    def verify_data(self, base_key: Buffer, transcript_hash: Buffer) -> bytes:
        """What Finished holds (section 4.4.4); `base_key` is the sender's handshake traffic secret."""
        provider, name = self._provider, self.hash_name
        finished_key = provider.hkdf_expand(name, base_key, self._finished, self.hash_length)
        return provider.hmac(name, finished_key, transcript_hash)

    def resumption_psk(self, resumption: Buffer, nonce: Buffer) -> bytes:
        """The PSK of one ticket (section 4.6.1)."""
        return self.expand_label(resumption, b"resumption", nonce, self.hash_length)

    def export(self, exporter: Buffer, label: bytes, context: Buffer, length: int) -> bytes:
        """Keying material for others (section 7.5); `length` in bytes."""
        derived = self.expand_label(exporter, label, self._empty_hash, self.hash_length)
        hashed = self._provider.digest(self.hash_name, context)
        return self.expand_label(derived, b"exporter", hashed, length)


class Transcript:
    """The running hash of all handshake messages.

    Before the hash is known the messages are kept as they are; a HelloRetryRequest replaces the first
    ClientHello by its hash (section 4.4.1).
    """

    __slots__ = ("_hash", "_kept", "_name", "_provider")

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._kept = bytearray()
        self._hash: Hash | None = None
        self._name: HashName | None = None

    def add(self, message: Buffer) -> None:
        """A whole message with its header."""
        if self._hash is None:
            self._kept += message
        else:
            self._hash.update(message)

    def choose(self, name: HashName) -> None:
        """The cipher suite is known: hash from here on."""
        if self._name is not None:
            if self._name != name:
                raise Misuse(f"the transcript is hashed with {self._name}, not {name}")
            return
        self._name = name
        self._hash = self._provider.hash(name)
        self._hash.update(self._kept)
        self._kept = bytearray()

    def retry(self, name: HashName) -> None:
        """Replace ClientHello1 by message_hash (section 4.4.1), before the HelloRetryRequest is added."""
        message = frame(HandshakeType.message_hash, self._provider.digest(name, self._kept))
        self._kept = bytearray(message)
        self.choose(name)

    def digest(self) -> bytes:
        """The hash of everything added."""
        if self._hash is None:
            raise Misuse("no hash was chosen for the transcript")
        return self._hash.digest()

    def digest_with(self, name: HashName, extra: Buffer) -> bytes:
        """The hash, by a hash function of the caller's choice, with more bytes at its end that are not kept:
        for binders (section 4.2.11.2)."""
        if self._hash is None:
            return self._provider.digest(name, bytes(self._kept) + extra)
        if self._name != name:
            raise Misuse(f"the transcript is hashed with {self._name}, not {name}")
        running = self._hash.copy()
        running.update(extra)
        return running.digest()


class _Stage:
    """One secret of the trunk, and what branches off from it (section 7.1)."""

    __slots__ = ("_secret", "kdf")

    def __init__(self, kdf: Kdf, secret: bytes) -> None:
        self.kdf = kdf
        self._secret = secret

    def _derive(self, label: bytes, transcript_hash: bytes | None = None) -> bytes:
        return self.kdf.derive(self._secret, label, transcript_hash)


class EarlyStage(_Stage):
    """From the pre-shared key, or zeros when there is none."""

    __slots__ = ("_salt",)

    def __init__(self, kdf: Kdf, psk: Buffer | None = None) -> None:
        if psk is None:
            super().__init__(kdf, kdf.early_secret)
            self._salt = kdf.early_salt
        else:
            super().__init__(kdf, kdf.extract(bytes(kdf.hash_length), psk))
            self._salt = b""

    def binder(self, transcript_hash: bytes, label: bytes = b"res binder") -> bytes:
        """The binder over the hash of the truncated ClientHello (section 4.2.11.2); its label tells where the
        PSK comes from."""
        binder_key, self._salt = self.kdf.derive_onward(self._secret, label)
        return self.kdf.verify_data(binder_key, transcript_hash)

    def client_traffic(self, transcript_hash: bytes) -> bytes:
        """client_early_traffic_secret; the transcript is the first ClientHello."""
        return self._derive(b"c e traffic", transcript_hash)

    def handshake(self, shared_secret: Buffer) -> HandshakeStage:
        """The next stage, from the (EC)DHE shared secret."""
        kdf = self.kdf
        salt = self._salt or self._derive(b"derived")
        return HandshakeStage(kdf, kdf.extract(salt, shared_secret))


class HandshakeStage(_Stage):
    """From the key exchange; transcripts are ClientHello..ServerHello."""

    __slots__ = ("_salt",)

    def __init__(self, kdf: Kdf, secret: bytes) -> None:
        super().__init__(kdf, secret)
        self._salt = b""

    def traffic(self, transcript_hash: bytes) -> tuple[bytes, bytes]:
        """client_handshake_traffic_secret and server_handshake_traffic_secret."""
        labels = (b"c hs traffic", b"s hs traffic")
        derived = self.kdf.derive_all(self._secret, labels, transcript_hash, onward=True)
        client, server, self._salt = derived
        return client, server

    def master(self) -> MasterStage:
        """The last stage. Raises Misuse before `traffic`."""
        if not self._salt:
            raise Misuse("the traffic secrets of the handshake come first")
        return MasterStage(self.kdf, self.kdf.extract(self._salt, bytes(self.kdf.hash_length)))


class MasterStage(_Stage):
    """Transcripts are ClientHello..server Finished, but for `resumption`."""

    __slots__ = ()

    def traffic(self, transcript_hash: bytes) -> tuple[bytes, bytes, bytes]:
        """The application's traffic secrets, the client's first, and exporter_master_secret."""
        labels = (b"c ap traffic", b"s ap traffic", b"exp master")
        derived = self.kdf.derive_all(self._secret, labels, transcript_hash, onward=False)
        client, server, exporter = derived
        return client, server, exporter

    def resumption(self, transcript_hash: bytes) -> bytes:
        """resumption_master_secret; the transcript goes up to the client's Finished."""
        return self._derive(b"res master", transcript_hash)
