"""Our own certificates: loaded once, chosen by name and by signature scheme."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mungos.crypto.contract import SCHEMES, PrivateKey, Provider
from mungos.errors import Malformed, Misuse, ProtocolError
from mungos.tls.config import Credential
from mungos.tls.engines.builtin.faults import NothingInCommon
from mungos.tls.engines.builtin.messages import Certificate as CertificateMessage
from mungos.tls.engines.builtin.messages import CertificateEntry, ExtensionType
from mungos.tls.engines.builtin.messages.compression import compressed
from mungos.tls.engines.builtin.messages.stapling import MAX_STAPLE, pack_staple
from mungos.x509 import Certificate, bears_name, certificates_from_pem, reference_identity

__all__ = ["LoadedCredential", "choose_credential", "choose_scheme", "load_credential"]


class LoadedCredential:
    """A chain and the key that signs for it.

    Attributes:
        chain: DER, the key's own certificate first.
        certificate: the first of the chain.
        staple: an OCSPResponse about the first of the chain, or None.
    """

    __slots__ = ("_messages", "certificate", "chain", "key", "staple")

    def __init__(
        self,
        chain: tuple[bytes, ...],
        certificate: Certificate,
        key: PrivateKey,
        staple: bytes | None = None,
    ) -> None:
        self.chain = chain
        self.certificate = certificate
        self.key = key
        self.staple = staple
        self._messages: dict[tuple[bool, bool], bytes] = {}

    def message(self, *, stapled: bool = False, packed: bool = False) -> bytes:
        """The Certificate that shows the chain (RFC 8446 section 4.4.2), made once; its context is always
        empty, since nobody is asked for a certificate after the handshake.

        Args:
            stapled: with the OCSPResponse, if there is one.
            packed: as a CompressedCertificate, where that is shorter (RFC 8879).
        """
        message = self._messages.get((stapled, packed))
        if message is None:
            entries = [CertificateEntry(der) for der in self.chain]
            if stapled and self.staple is not None:
                entries[0].extensions[ExtensionType.status_request] = pack_staple(self.staple)
            message = CertificateMessage(b"", entries).pack()
            if packed:
                message = min(compressed(message), message, key=len)
            self._messages[stapled, packed] = message
        return message

    def bears(self, name: str) -> bool:
        """Whether the certificate covers the name that a client asked for."""
        try:
            return bears_name(self.certificate, reference_identity(name))
        except Misuse:
            return False


def load_credential(credential: Credential, provider: Provider) -> LoadedCredential:
    """Parse the chain and the key. Raises Misuse when either can't be read, or they don't belong together."""
    try:
        chain = tuple(certificates_from_pem(credential.chain))
    except Malformed as error:
        raise Misuse(f"the credential's chain can't be read: {error}") from error
    if not chain:
        raise Misuse("the credential's chain holds no certificate")
    try:
        certificate = Certificate(chain[0])
        public = certificate.public_key(provider)
    except ProtocolError as error:
        raise Misuse(f"the credential's first certificate can't be used: {error}") from error
    key = provider.private_key(credential.key)
    if key.public.spki != public.spki:
        raise Misuse("the credential's private key does not belong to its first certificate")
    if not key.schemes:
        raise Misuse(f"a private key of kind {key.kind} bears no signature scheme of TLS 1.3")
    if credential.staple is not None and not 1 <= len(credential.staple) <= MAX_STAPLE:
        raise Misuse(
            f"the credential's OCSP response of {len(credential.staple)} bytes is not 1 to {MAX_STAPLE} bytes"
        )
    return LoadedCredential(chain, certificate, key, credential.staple)


def choose_scheme(credential: LoadedCredential, schemes: Collection[int]) -> str | None:
    """The scheme by which the key signs for a peer that accepts `schemes`, or None (section 4.2.3)."""
    for name in credential.key.schemes:
        if SCHEMES[name].code in schemes:
            return name
    return None


def choose_credential(
    credentials: Sequence[LoadedCredential], server_name: str | None, schemes: Collection[int]
) -> tuple[LoadedCredential, str]:
    """The server's credential and signature scheme (RFC 8446 section 4.4.2.2): the first that covers the name
    and can sign, else the first that can sign."""
    usable = [
        (credential, scheme)
        for credential in credentials
        if (scheme := choose_scheme(credential, schemes)) is not None
    ]
    if not usable:
        # Section 4.4.3: no acceptable signature can be made: handshake_failure.
        raise NothingInCommon(f"none of {len(credentials)} certificates can sign by a scheme of the client")
    if server_name is not None and len(usable) > 1:
        for credential, scheme in usable:
            if credential.bears(server_name):
                return credential, scheme
    return usable[0]
