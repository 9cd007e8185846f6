"""Who is trusted: roots, found by their subject's name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mungos.crypto.contract import Provider
from mungos.errors import Malformed, Misuse
from mungos.x509.certificate import Certificate, subject_of
from mungos.x509.errors import CertificateMalformed
from mungos.x509.pem import certificates_from_pem

__all__ = ["MAX_REMEMBERED", "MAX_REMEMBERED_SIZE", "TrustStore"]

MAX_REMEMBERED = 64
"""Certificates of peers that are remembered."""

MAX_REMEMBERED_SIZE = 8 * 1024
"""Bytes of one that is remembered."""


class TrustStore:
    """A set of root certificates. Built once and shared: nothing about it changes but what it remembers."""

    __slots__ = ("_by_subject", "_ders", "_parsed", "_remembered")

    def __init__(self, roots: Iterable[bytes], *, tolerant: bool = False) -> None:
        """
        Args:
            roots: DER.
            tolerant: parse a root when its name is first asked for, and take one that can't be parsed as not
                there: for the system's roots, which nobody here can repair.

        Raises:
            CertificateMalformed: one can't be parsed, and `tolerant` is False.
        """
        self._ders: set[bytes] = set()
        self._by_subject: dict[bytes, list[bytes]] = {}
        self._parsed: dict[bytes, tuple[Certificate, ...]] = {}
        self._remembered: dict[tuple[Provider, bytes], Certificate] = {}
        for der in roots:
            if der in self._ders:
                continue
            try:
                subject = subject_of(der) if tolerant else self._parse(der).subject
            except CertificateMalformed:
                if not tolerant:
                    raise
                continue
            self._ders.add(der)
            self._by_subject.setdefault(subject, []).append(der)

    @staticmethod
    def _parse(der: bytes) -> Certificate:
        certificate = Certificate(der)
        certificate.complete()
        return certificate

    @classmethod
    def from_pem(cls, text: bytes, *, tolerant: bool = False) -> TrustStore:
        """From PEM, one or many. Raises Misuse when the text holds no certificate, or a broken one (of which
        `tolerant` forgives those whose PEM is sound)."""
        try:
            roots = certificates_from_pem(text)
            store = cls(roots, tolerant=tolerant)
        except Malformed as error:
            raise Misuse(f"the roots can't be read: {error}") from error
        if not store:
            raise Misuse("the roots hold no certificate: PEM is expected, with CERTIFICATE blocks")
        return store

    def __len__(self) -> int:
        return len(self._ders)

    def __iter__(self) -> Iterator[bytes]:
        """The roots, DER, in no order."""
        return iter(self._ders)

    def __contains__(self, der: object) -> bool:
        """Whether a certificate (DER) is, byte for byte, one of the roots."""
        return der in self._ders

    def __repr__(self) -> str:
        return f"<{len(self)} trusted roots>"

    def named(self, subject: bytes) -> tuple[Certificate, ...]:
        """The roots with this subject (raw Name), parsed once and remembered with their keys."""
        found = self._parsed.get(subject)
        if found is None:
            found = tuple(self._readable(self._by_subject.get(subject, ())))
            # Names that are asked for in vain come from peers: only those that are here are remembered.
            if found:
                self._parsed[subject] = found
        return found

    def recognize(self, der: bytes, provider: Provider) -> Certificate:
        """The certificate, already parsed and with its key and its proofs if this provider proved a path
        from it of late. Raises CertificateMalformed."""
        return self._remembered.get((provider, der)) or Certificate(der)

    def remember(self, certificate: Certificate, provider: Provider) -> None:
        """Keep a certificate from which a path was proved: its signature will not change."""
        key = provider, certificate.der
        if len(certificate.der) > MAX_REMEMBERED_SIZE or key in self._remembered:
            return
        # Stores are shared between threads: replaced, and never changed under somebody's hands.
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered = {}
        self._remembered[key] = certificate

    @classmethod
    def _readable(cls, ders: Iterable[bytes]) -> Iterable[Certificate]:
        for der in ders:
            try:
                yield cls._parse(der)
            except CertificateMalformed:
                continue
