"""The same chains before the verifier of the `cryptography` package. Every difference has its line below."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import cryptography
import pytest
from cryptography.x509 import DNSName, IPAddress, load_der_x509_certificate

from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.x509 import CertificateError, TrustStore, verify_server
from tests.thinning import STRIDE
from tests.x509.x509_chains import CHANGES, Case, random_case, single
from tests.x509.x509_forge import NOW

verification = pytest.importorskip(
    "cryptography.x509.verification", reason="cryptography has a verifier from version 42 on"
)

pytestmark = pytest.mark.filterwarnings(r"ignore:Parsed a (serial|negative)")

PROVIDER = CryptographyProvider()

WE_ACCEPT = {
    "names-critical": "RFC 5280 section 4.2.1.6: it SHOULD not be critical beside a subject; that is no MUST",
    "leaf-without-authority-key": "RFC 5280 section 4.2.1.1: CAs write it; a path does not need it",
    "issuer-ed25519": "it has no Ed25519 (RFC 8410)",
    "issuer-basic-not-critical": "RFC 5280 section 4.2.1.9 binds CAs; what it says is obeyed either way",
    "issuer-without-usage": "RFC 5280 section 6.1.4 (n): keyCertSign only if keyUsage is present",
    "root-odd-dates": "a root is trusted by its bytes; one that systems ship has such dates",
    "directory-permitted": "it does not process constraints on directoryName",
    "leaf-is-root": "a self-signed server certificate that was given as a root",
}
"""A change after which we accept and they do not, and why that is sound."""

WE_REFUSE = {
    "leaf-usage-encipherment": "RFC 8446 section 4.4.2.2: digitalSignature MUST be set",
    "leaf-p521": "the curve is not spoken here",
    "issuer-for-anything": "anyExtendedKeyUsage is not taken for consent (nor does OpenSSL)",
    "email-constrained-and-there": "constraints on rfc822Name are not processed, so such a name is refused",
}
"""A change after which we refuse and they do not."""

CURRENT = int(cryptography.__version__.partition(".")[0]) >= 50
if not CURRENT:
    WE_REFUSE["directory-excluded"] = "older ones pass over constraints on directoryName"


def ours(case: Case) -> str:
    """ "" when it is accepted, else the reason."""
    try:
        verify_server([case.leaf, *case.others], case.host, TrustStore(case.roots), PROVIDER, NOW)
    except CertificateError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def theirs(case: Case) -> str:
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address | None = ipaddress.ip_address(case.host)
    except ValueError:
        address = None
    try:
        roots = [load_der_x509_certificate(der) for der in case.roots]
        if not roots:
            return "no roots"
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store(roots))
            .time(datetime.fromtimestamp(NOW, UTC))
            .build_server_verifier(IPAddress(address) if address else DNSName(case.host))
        )
        verifier.verify(
            load_der_x509_certificate(case.leaf), [load_der_x509_certificate(der) for der in case.others]
        )
    except (verification.VerificationError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def explain(case: Case, mine: str, other: str) -> str | None:
    """What is wrong with a pair of verdicts, or None."""
    if (not mine) == (not other):
        return None
    table, side = (WE_REFUSE, "we refuse") if mine else (WE_ACCEPT, "we accept")
    if any(label in table for label in case.labels):
        return None
    return f"{case.labels}: {side} what they don't: ours={mine!r} theirs={other!r}"


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_one_change_at_a_time(depth: int) -> None:
    wrong = []
    for label in list(CHANGES)[::STRIDE]:
        case = single(label, depth)
        wrong.append(explain(case, ours(case), theirs(case)))
    assert not [line for line in wrong if line]


@pytest.mark.parametrize("part", range(4))
def test_several_changes_at_once(part: int) -> None:
    wrong, accepted, refused = [], 0, 0
    for seed in range(part * 150, (part + 1) * 150, STRIDE):
        case = random_case(seed)
        mine, other = ours(case), theirs(case)
        accepted += not mine
        refused += bool(mine)
        wrong.append(explain(case, mine, other))
    assert not [line for line in wrong if line]
    assert accepted > 10 // STRIDE
    assert refused > 30 // STRIDE


@pytest.mark.skipif(not CURRENT, reason="older ones differ elsewhere")
def test_no_line_of_the_tables_is_idle() -> None:
    seen: dict[str, set[str]] = {"accept": set(), "refuse": set()}
    for label in CHANGES:
        for depth in range(3):
            case = single(label, depth)
            mine, other = ours(case), theirs(case)
            if mine and not other:
                seen["refuse"].add(label)
            if other and not mine:
                seen["accept"].add(label)
    assert seen == {"accept": set(WE_ACCEPT), "refuse": set(WE_REFUSE)}
