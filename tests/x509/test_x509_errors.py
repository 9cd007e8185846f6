"""Every reason has one kind of blame and one alert."""

from __future__ import annotations

import pytest

from mungos import x509
from mungos.errors import Malformed, PeerIncompatible, PeerMisbehaved
from mungos.tls.alerts import AlertDescription
from mungos.x509 import errors

REASONS = [getattr(errors, name) for name in errors.__all__ if name != "CertificateError"]


@pytest.mark.parametrize("reason", REASONS)
def test_rfc8446_6_2_every_reason_has_its_alert(reason: type[errors.CertificateError]) -> None:
    assert "alert" in vars(reason)
    assert AlertDescription[reason.alert] >= AlertDescription.handshake_failure
    assert sum(issubclass(reason, kind) for kind in (Malformed, PeerIncompatible, PeerMisbehaved)) == 1
    assert getattr(x509, reason.__name__) is reason


def test_the_map_is_total() -> None:
    assert set(errors.CertificateError.__subclasses__()) == set(REASONS)
    assert {reason.__name__: reason.alert for reason in REASONS} == {
        "BadCertificate": "bad_certificate",
        "CertificateExpired": "certificate_expired",
        "CertificateMalformed": "bad_certificate",
        "CertificateNotYetValid": "certificate_expired",
        "NameConstraintViolated": "bad_certificate",
        "NameMismatch": "bad_certificate",
        "NoCertificate": "certificate_required",
        "PathTooHard": "certificate_unknown",
        "PurposeMismatch": "unsupported_certificate",
        "SignatureMismatch": "bad_certificate",
        "UnknownIssuer": "unknown_ca",
        "UnsupportedCertificate": "unsupported_certificate",
    }
