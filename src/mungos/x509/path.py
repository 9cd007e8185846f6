"""Building and checking a path from a peer's certificate to a trusted root (RFC 5280 section 6).

Issuers are chosen by name, their order by key identifier, and proved by signature. The search is depth
first over the roots and the peer's certificates, and its cost is bounded in signatures, depth and names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mungos.crypto.contract import Provider, PublicKey
from mungos.x509 import oids
from mungos.x509.certificate import Certificate
from mungos.x509.errors import (
    BadCertificate,
    CertificateError,
    CertificateExpired,
    CertificateMalformed,
    CertificateNotYetValid,
    NameMismatch,
    NoCertificate,
    PathTooHard,
    PurposeMismatch,
    SignatureMismatch,
    UnknownIssuer,
    UnsupportedCertificate,
)
from mungos.x509.extensions import DIGITAL_SIGNATURE, KEY_CERT_SIGN
from mungos.x509.name_constraints import Comparisons, check_names
from mungos.x509.names import bears_name, wanted_identity
from mungos.x509.signatures import check_key, check_signature
from mungos.x509.trust_store import TrustStore
from mungos.x509.wording import name_text

__all__ = [
    "MAX_CHAIN",
    "MAX_DEPTH",
    "MAX_SIGNATURES",
    "VerifiedPath",
    "check_end_entity",
    "verify_client",
    "verify_server",
]

MAX_CHAIN = 16
"""Certificates that a peer may send."""

MAX_DEPTH = 8
"""Issuers above the leaf, the root included."""

MAX_SIGNATURES = 64
"""Signatures checked in one verification, all candidates of one name together."""

_PURPOSES = {oids.SERVER_AUTH: "servers (serverAuth)", oids.CLIENT_AUTH: "clients (clientAuth)"}


@dataclass(frozen=True, slots=True)
class VerifiedPath:
    """What a chain has proved.

    Attributes:
        certificates: from the peer's own to the root, both included (one when the leaf is itself a root).
        public_key: the leaf's key, ready to check CertificateVerify.
    """

    certificates: tuple[Certificate, ...]
    public_key: PublicKey


def verify_server(
    chain: Sequence[bytes], server_name: str, roots: TrustStore, provider: Provider, wall: float
) -> VerifiedPath:
    """Check a server's certificates.

    Args:
        chain: DER, the server's own first; the others in any order, and there may be some that are not
            needed.
        server_name: the DNS name (A-labels) or IP address literal that it must bear.
        roots: who is trusted.
        provider: checks signatures.
        wall: the civil time, seconds since 1970-01-01T00:00:00Z.

    Raises:
        CertificateError: one of its subclasses; `alert` names what to send.
        Misuse: `server_name` is neither a DNS name nor an address.
    """
    identity = wanted_identity(server_name)
    leaf = _leaf(chain, roots, provider, wall)
    if not bears_name(leaf, identity):
        raise NameMismatch(f"the certificate does not bear the name {server_name!r}: it bears {_shown(leaf)}")
    return _Search(chain, leaf, oids.SERVER_AUTH, roots, provider, wall).run()


def verify_client(chain: Sequence[bytes], roots: TrustStore, provider: Provider, wall: float) -> VerifiedPath:
    """Check a client's certificates: as `verify_server`, for the purpose clientAuth and without a name."""
    leaf = _leaf(chain, roots, provider, wall)
    return _Search(chain, leaf, oids.CLIENT_AUTH, roots, provider, wall).run()


def check_end_entity(der: bytes, *, server: bool) -> None:
    """Check only what the peer's own certificate says of itself, where somebody else has built the path:
    that it is no issuer's, meant for this purpose, and in a form that is taken here.

    Args:
        der: the certificate.
        server: whether it was shown by a server.

    Raises:
        CertificateError: one of its subclasses. A certificate that is itself a root is not held to this.
    """
    _check_end_entity(Certificate(der), oids.SERVER_AUTH if server else oids.CLIENT_AUTH)


def _leaf(chain: Sequence[bytes], roots: TrustStore, provider: Provider, wall: float) -> Certificate:
    if not chain:
        raise NoCertificate("the peer sent no certificate")
    if len(chain) > MAX_CHAIN:
        raise PathTooHard(f"{len(chain)} certificates in a chain (limit {MAX_CHAIN})")
    leaf = roots.recognize(chain[0], provider)
    _check_dates(leaf, wall)
    return leaf


def _shown(leaf: Certificate) -> str:
    """The first names of a certificate, for a message."""
    names = [*leaf.dns_names[:5], *(str(ipaddress.ip_address(each)) for each in leaf.ip_addresses[:5])]
    shown = [repr(name[:80]) for name in names[:4]]
    return ", ".join(shown) + (", ..." if len(names) > 4 else "") if names else "none"


def _check_dates(certificate: Certificate, wall: float) -> None:
    # RFC 5280 section 4.1.2.5: from notBefore through notAfter, inclusive, in whole seconds.
    if wall < certificate.not_before:
        raise CertificateNotYetValid(
            f"{certificate} is valid in {certificate.not_before - wall:.0f} s and not before"
        )
    if wall >= certificate.not_after + 1:
        raise CertificateExpired(f"{certificate} expired {wall - certificate.not_after:.0f} s ago")


def _check_common(certificate: Certificate, purpose: bytes) -> None:
    """What holds for the leaf and for every issuer above it."""
    # RFC 5280 section 4.1.2.1: extensions are used, so the version is 3.
    if certificate.version != 3:
        raise UnsupportedCertificate(f"{certificate} is of version {certificate.version}, not 3")
    if certificate.serial < 0:
        raise BadCertificate(f"{certificate} has a negative serial number")
    found = certificate.extensions
    # RFC 5280 section 4.2: "MUST reject the certificate if it encounters a critical extension it does not
    # recognize".
    if found.unknown_critical:
        names = ", ".join(map(oids.dotted, found.unknown_critical[:4]))
        raise UnsupportedCertificate(
            f"{certificate} has critical extensions that are not spoken here: {names}"
        )
    # RFC 5280 section 4.2.1.12; for issuers it is custom that their list holds for all below them.
    # anyExtendedKeyUsage is not taken for consent.
    if found.purposes is not None and purpose not in found.purposes:
        raise PurposeMismatch(f"{certificate} is not meant for {_PURPOSES[purpose]}")


def _check_form(certificate: Certificate) -> None:
    # RFC 5280 section 4.1.2.5: dates "through the year 2049 as UTCTime"; some old roots do otherwise.
    if certificate.odd_times:
        raise BadCertificate(f"{certificate} has a date before 2050 that is not a UTCTime")


def _check_end_entity(leaf: Certificate, purpose: bytes) -> None:
    _check_common(leaf, purpose)
    _check_form(leaf)
    if leaf.extensions.is_ca:
        raise BadCertificate(f"{leaf} is an issuer's, shown as the peer's own")
    usage = leaf.extensions.key_usage
    # RFC 8446 section 4.4.2.2: digitalSignature MUST be set if keyUsage is present.
    if usage is not None and not usage & DIGITAL_SIGNATURE:
        raise PurposeMismatch(f"{leaf} has a keyUsage without digitalSignature")


def _rank(error: CertificateError) -> int:
    """Of several reasons the one nearest to a path that would have held is told."""
    return 0 if isinstance(error, SignatureMismatch) else 1


class _Search:
    """One verification: the candidates, what is left of its budgets, and the reason to tell if it fails."""

    __slots__ = (
        "_comparisons",
        "_error",
        "_leaf",
        "_others",
        "_provider",
        "_purpose",
        "_roots",
        "_signatures",
        "_wall",
    )

    def __init__(
        self,
        chain: Sequence[bytes],
        leaf: Certificate,
        purpose: bytes,
        roots: TrustStore,
        provider: Provider,
        wall: float,
    ) -> None:
        self._leaf = leaf
        self._others: Sequence[bytes] | list[Certificate] = chain[1:]
        self._purpose = purpose
        self._roots = roots
        self._provider = provider
        self._wall = wall
        self._signatures = MAX_SIGNATURES
        self._comparisons = Comparisons()
        self._error: CertificateError | None = None

    def run(self) -> VerifiedPath:
        leaf = self._leaf
        if leaf.der in self._roots:
            # Trusted as it stands: whoever gave it as a root meant this certificate.
            return VerifiedPath((leaf,), leaf.public_key(self._provider))
        _check_end_entity(leaf, self._purpose)
        key = leaf.public_key(self._provider)
        check_key(key)
        path = self._extend((leaf,))
        if path is None:
            raise self._error or self._unknown_issuer()
        for certificate in path[:-1]:
            self._roots.remember(certificate, self._provider)
        return VerifiedPath(path, key)

    def _unknown_issuer(self) -> UnknownIssuer:
        """Says where the chain ends, going by names."""
        top = self._leaf
        for _ in range(MAX_DEPTH):
            above = [other for other in self._intermediates() if other.subject == top.issuer]
            if top.self_issued or not above:
                break
            top = above[0]
        if top.self_issued:
            return UnknownIssuer(f"{top} is self-signed, and not trusted")
        try:
            issuer = name_text(top.issuer)
        except CertificateMalformed:
            issuer = "an unreadable name"
        return UnknownIssuer(f"{top} was issued by {issuer}, which is not trusted")

    def _extend(self, path: tuple[Certificate, ...]) -> tuple[Certificate, ...] | None:
        """The path with all issuers up to a root, or None; the reason is then in `_error`."""
        if len(path) > MAX_DEPTH:
            self._note(PathTooHard(f"a path with over {MAX_DEPTH} issuers"))
            return None
        for issuer, is_root in self._candidates(path):
            try:
                if not self._proved(path[-1], issuer):
                    continue
                self._check_issuer(issuer, path, is_root)
            except PathTooHard:
                raise
            except CertificateError as error:
                self._note(error)
                continue
            longer = (*path, issuer)
            found = longer if is_root else self._extend(longer)
            if found is not None:
                return found
        return None

    def _candidates(self, path: tuple[Certificate, ...]) -> Iterator[tuple[Certificate, bool]]:
        """Who bears the issuer's name: roots, then the peer's; of each, the right key identifiers first."""
        child = path[-1]
        wanted = child.extensions.authority_key
        roots = self._roots.named(child.issuer)
        yield from ((root, True) for root in _by_identifier(roots, wanted))
        others = [
            other
            for other in self._intermediates()
            if other.subject == child.issuer
            # One key under one name stands once in a path (RFC 4158 section 2.4.1 on loops).
            and not any(other.spki == seen.spki and other.subject == seen.subject for seen in path)
        ]
        yield from ((other, False) for other in _by_identifier(others, wanted))

    def _intermediates(self) -> list[Certificate]:
        """The peer's other certificates, parsed when the first is needed; a broken one is passed over."""
        parsed: list[Certificate] = []
        for other in self._others:
            if isinstance(other, Certificate):
                parsed.append(other)
                continue
            try:
                certificate = self._roots.recognize(other, self._provider)
                certificate.complete()
            except CertificateError as error:
                self._note(error)
            else:
                parsed.append(certificate)
        self._others = parsed
        return parsed

    def _proved(self, child: Certificate, issuer: Certificate) -> bool:
        """Whether the issuer signed the child. False where key identifiers tell that it is another one."""
        if self._signatures <= 0:
            raise PathTooHard(f"over {MAX_SIGNATURES} signatures to check")
        self._signatures -= 1
        if child.signed_by == issuer.spki:
            return True
        try:
            check_signature(child, issuer.public_key(self._provider))
        except SignatureMismatch:
            if _other_key(child, issuer):
                return False
            raise
        child.signed_by = issuer.spki
        return True

    def _check_issuer(self, issuer: Certificate, path: tuple[Certificate, ...], is_root: bool) -> None:
        """RFC 5280 sections 6.1.3 and 6.1.4, for the certificate above the path; a root is held to them,
        except to the form of its dates."""
        _check_dates(issuer, self._wall)
        _check_common(issuer, self._purpose)
        if not is_root:
            _check_form(issuer)
        found = issuer.extensions
        # (k): "If certificate i is a version 3 certificate, verify that ... cA is set to TRUE."
        if not found.is_ca:
            raise BadCertificate(f"{issuer} is not an issuer's: basicConstraints does not say so")
        # (n)
        if found.key_usage is not None and not found.key_usage & KEY_CERT_SIGN:
            raise PurposeMismatch(f"{issuer} has a keyUsage without keyCertSign")
        # (l), (m): self-issued certificates are not counted, nor is the leaf.
        if found.path_length is not None:
            between = sum(not certificate.self_issued for certificate in path[1:])
            if between > found.path_length:
                raise BadCertificate(f"{issuer} allows {found.path_length} issuers below it, not {between}")
        # (b), (c): self-issued certificates are not held to it, except the last.
        if found.name_constraints is not None:
            for certificate in path:
                if certificate is path[0] or not certificate.self_issued:
                    check_names(found.name_constraints, certificate, self._comparisons)

    def _note(self, error: CertificateError) -> None:
        if self._error is None or _rank(error) > _rank(self._error):
            self._error = error


def _by_identifier(candidates: Sequence[Certificate], wanted: bytes | None) -> Sequence[Certificate]:
    if wanted is None or len(candidates) < 2:
        return candidates
    return sorted(candidates, key=lambda candidate: candidate.extensions.subject_key != wanted)


def _other_key(child: Certificate, issuer: Certificate) -> bool:
    """Whether the key identifiers (RFC 5280 sections 4.2.1.1 and 4.2.1.2) say that another key signed."""
    wanted = child.extensions.authority_key
    return wanted is not None and issuer.extensions.subject_key not in (None, wanted)
