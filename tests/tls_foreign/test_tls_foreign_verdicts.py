"""From the libraries' errors to blame and alert: known answers."""

from __future__ import annotations

import pytest

from mungos.errors import Broken, Malformed, PeerIncompatible, PeerMisbehaved
from mungos.tls import AlertDescription as Alert
from mungos.tls.engines.mbedtls import verdicts as mbedtls
from mungos.tls.engines.wolfssl import verdicts as wolfssl
from mungos.tls.engines.wolfssl.library import AlertHistory

NONE = (-1, -1)


@pytest.mark.parametrize(
    ("code", "received", "sent", "kind", "alert", "by_peer"),
    [
        (-313, (40, 2), NONE, PeerIncompatible, Alert.handshake_failure, True),
        (-313, (42, 2), NONE, PeerMisbehaved, Alert.bad_certificate, True),
        (-313, (200, 2), NONE, PeerMisbehaved, None, True),
        (-305, NONE, (20, 2), PeerMisbehaved, Alert.bad_record_mac, False),
        (-328, NONE, (22, 2), Malformed, Alert.record_overflow, False),
        (-326, NONE, (70, 2), PeerIncompatible, Alert.protocol_version, False),
        (-373, NONE, NONE, PeerMisbehaved, None, False),
        (-321, NONE, NONE, Malformed, None, False),
        (-501, NONE, NONE, PeerIncompatible, None, False),
        (-308, NONE, NONE, Broken, None, False),
        (-125, NONE, (80, 2), Broken, Alert.internal_error, False),
        (-305, NONE, (0, 1), PeerMisbehaved, None, False),  # what it sent before was our close_notify
    ],
)
def test_wolfssl(
    code: int,
    received: tuple[int, int],
    sent: tuple[int, int],
    kind: type[Exception],
    alert: Alert | None,
    by_peer: bool,
) -> None:
    failed = wolfssl.failure(code, "its words", AlertHistory(*received, *sent))
    assert type(failed.error) is kind
    assert failed.alert is alert
    assert failed.sent_by_peer is by_peer
    if not by_peer:
        assert "its words" in str(failed.error)
        assert str(code) in str(failed.error)


@pytest.mark.parametrize(
    ("code", "alert"),
    [
        (-326, Alert.protocol_version),
        (-501, Alert.handshake_failure),
        (-405, Alert.no_application_protocol),
        (-303, Alert.internal_error),
        (-99999, Alert.illegal_parameter),
    ],
)
def test_wolfssl_what_is_told_where_the_library_is_silent(code: int, alert: Alert) -> None:
    assert wolfssl.deserved_alert(code) is alert


@pytest.mark.parametrize(
    ("code", "second", "third"),
    [
        (-0x7180, Alert.bad_record_mac, Alert.bad_record_mac),
        (-0x7200, Alert.decode_error, Alert.decode_error),
        (-0x7700, Alert.unexpected_message, Alert.unexpected_message),
        (-0x6E80, Alert.protocol_version, Alert.protocol_version),
        (-0x7300, Alert.illegal_parameter, Alert.decode_error),
        (-0x7480, Alert.handshake_failure, Alert.certificate_required),
        (-0x7E80, Alert.decrypt_error, Alert.illegal_parameter),
        (-0x6E00, Alert.decode_error, Alert.handshake_failure),
        (-0x7F00, Alert.internal_error, Alert.internal_error),
        (-0x0001, Alert.illegal_parameter, Alert.illegal_parameter),
    ],
)
def test_mbedtls_codes_mean_different_things_in_its_versions(code: int, second: Alert, third: Alert) -> None:
    assert mbedtls.deserved_alert(code, third=False) is second
    assert mbedtls.deserved_alert(code, third=True) is third
