"""The same chains before `openssl verify`. Every difference has its line below."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import starmap
from pathlib import Path

import pytest

from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.x509 import CertificateError, TrustStore, verify_server
from tests.x509.x509_chains import CHANGES, Case, random_case, single
from tests.x509.x509_forge import NOW, to_pem

OPENSSL = shutil.which("openssl")
pytestmark = [
    pytest.mark.foreign,
    pytest.mark.skipif(OPENSSL is None, reason="openssl is not there"),
]
PROVIDER = CryptographyProvider()

WE_ACCEPT: dict[str, str] = {}
"""A change after which we accept and it does not: there is none."""

WE_REFUSE = {
    "leaf-odd-dates": "RFC 5280 section 4.1.2.5: dates through 2049 MUST be UTCTime",
    "wildcard-within-label": "RFC 9525 section 6.3: only as the complete left-most label",
    "name-only-as-common-name": "RFC 9525 section 6.2: only subjectAltName",
    "leaf-usage-encipherment": "RFC 8446 section 4.4.2.2: digitalSignature MUST be set",
    "leaf-is-issuer": "an issuer's certificate shown as the peer's own",
    "leaf-negative-serial": "RFC 5280 section 4.1.2.2: a positive integer",
    "leaf-p521": "the curve is not spoken here",
    "issuer-of-version-1": "RFC 5280 section 6.1.4 (k): cA is nowhere; it lets a root be so",
    "issuer-without-basic": "the same",
    "issuer-policy-critical": "policies are not processed, so they may not be critical",
    "email-constrained-and-there": "constraints on rfc822Name are not processed, so such a name is refused",
}
"""A change after which we refuse and it does not."""


def ours(case: Case) -> str:
    """ "" when it is accepted, else the reason."""
    try:
        verify_server([case.leaf, *case.others], case.host, TrustStore(case.roots), PROVIDER, NOW)
    except CertificateError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def theirs(case: Case, folder: Path) -> str:
    folder.mkdir()
    (folder / "leaf.pem").write_bytes(to_pem(case.leaf))
    (folder / "others.pem").write_bytes(to_pem(*case.others))
    (folder / "roots.pem").write_bytes(to_pem(*case.roots))
    command = [
        OPENSSL or "openssl",
        "verify",
        "-purpose",
        "sslserver",
        "-attime",
        str(NOW),
        "-no-CApath",
        "-no-CAstore",
        "-CAfile",
        str(folder / "roots.pem"),
        *(["-untrusted", str(folder / "others.pem")] if case.others else []),
        "-verify_ip" if case.host[0].isdigit() else "-verify_hostname",
        case.host,
        str(folder / "leaf.pem"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=8, check=False)
    return "" if done.returncode == 0 else done.stderr.replace("\n", " ") or "refused"


def explain(case: Case, mine: str, other: str) -> str | None:
    """What is wrong with a pair of verdicts, or None."""
    if (not mine) == (not other):
        return None
    table, side = (WE_REFUSE, "we refuse") if mine else (WE_ACCEPT, "we accept")
    if any(label in table for label in case.labels):
        return None
    return f"{case.labels}: {side} what they don't: ours={mine!r} theirs={other!r}"


def verdicts(cases: list[Case], folder: Path) -> Iterator[tuple[Case, str, str]]:
    with ThreadPoolExecutor(2) as pool:
        others = pool.map(theirs, cases, (folder / str(i) for i in range(len(cases))))
        yield from zip(cases, map(ours, cases), others, strict=True)


@pytest.mark.parametrize("depth", [0, 1])
def test_one_change_at_a_time(depth: int, tmp_path: Path) -> None:
    cases = [single(label, depth) for label in CHANGES]
    wrong = list(starmap(explain, verdicts(cases, tmp_path)))
    assert not [line for line in wrong if line]


def test_several_changes_at_once(tmp_path: Path) -> None:
    cases = [random_case(10_000 + seed) for seed in range(100)]
    wrong = list(starmap(explain, verdicts(cases, tmp_path)))
    assert not [line for line in wrong if line]
