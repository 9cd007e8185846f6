"""From an alert to whose fault it was, the same for every library; the alerts that are sent in the clear."""

from __future__ import annotations

from mungos.errors import Broken, Malformed, PeerIncompatible, PeerMisbehaved, ProtocolError
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.contract import Failed

__all__ = [
    "FATAL",
    "PLAIN_ALERT_SIZE",
    "alert_named",
    "alert_received",
    "alert_sent",
    "plain_alert",
    "plain_alert_description",
    "received_plain_alert",
]

FATAL = 2
"""The level of an alert that ends the session; 1 is a warning."""

PLAIN_ALERT_SIZE = 7
"""Bytes: a record's header, a level and a description (RFC 8446 sections 5.1 and 6)."""

_MALFORMED = frozenset({Alert.decode_error, Alert.record_overflow})
_INCOMPATIBLE = frozenset(
    {
        Alert.handshake_failure,
        Alert.inappropriate_fallback,
        Alert.insufficient_security,
        Alert.no_application_protocol,
        Alert.protocol_version,
        Alert.unrecognized_name,
    }
)


def plain_alert(alert: Alert, level: int = 2) -> bytes:
    """The record of an alert before anything is encrypted; `level` is 1 (warning) or 2 (fatal)."""
    return bytes((21, 3, 3, 0, 2, level, alert))


def plain_alert_description(record: bytes) -> Alert | None:
    """The fatal alert in an unencrypted record of seven bytes, or None when it is something else."""
    if len(record) == PLAIN_ALERT_SIZE and record[0] == 21 and record[3:6] == b"\x00\x02\x02":
        return alert_named(record[6])
    return None


def received_plain_alert(record: bytes) -> Failed | None:
    """The failure that an unencrypted alert of the peer means, or None where the record is no known alert."""
    if len(record) != PLAIN_ALERT_SIZE or record[0] != 21 or record[3:5] != b"\x00\x02":
        return None
    alert = alert_named(record[6])
    return None if alert is None else alert_received(alert)


def alert_named(code: int) -> Alert | None:
    """The alert of that number, None where it is unknown."""
    try:
        return Alert(code)
    except ValueError:
        return None


def alert_received(alert: Alert) -> Failed:
    """The failure that the peer's alert means. A close_notify is one only within the handshake."""
    if alert is Alert.close_notify:
        error = Broken("the peer closed the session before the handshake was complete")
        return Failed(error, alert, sent_by_peer=True)
    kind = PeerIncompatible if alert in _INCOMPATIBLE else PeerMisbehaved
    return Failed(kind(f"the peer ended the session with the alert {alert.name}"), alert, sent_by_peer=True)


def alert_sent(alert: Alert, why: str) -> Failed:
    """The failure that our own `alert` answers: its blame follows from the alert."""
    kind: type[ProtocolError | Broken]
    if alert in _MALFORMED:
        kind = Malformed
    elif alert in _INCOMPATIBLE:
        kind = PeerIncompatible
    elif alert is Alert.internal_error:
        kind = Broken
    else:
        kind = PeerMisbehaved
    return Failed(kind(why), alert)
