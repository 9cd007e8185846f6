"""What a client offers to be recognised by: a ticket, keys from outside, their binders (RFC 8446 section
4.2.11)."""

from __future__ import annotations

from dataclasses import dataclass, field

from mungos.crypto.contract import HashName
from mungos.tls.engines.builtin.key_schedule import EarlyStage, Kdf, Transcript
from mungos.tls.engines.builtin.messages import ClientHello, ExtensionType
from mungos.tls.engines.builtin.messages.extensions import OfferedPsks, PskIdentity, pack_offered_psks
from mungos.tls.engines.builtin.preparation import PreparedClient
from mungos.tls.engines.builtin.psks import RESUMPTION_BINDER
from mungos.tls.engines.builtin.suites import SUITES
from mungos.tls.sessions import ClientSession

__all__ = ["OfferedPsk", "allows_early_data", "offered_psks", "pack_with_binders"]


@dataclass(slots=True)
class OfferedPsk:
    """One entry of pre_shared_key.

    Attributes:
        kdf: by the key's hash.
        session: where it is a ticket.
        name: the identity that was configured, where it comes from outside; where it is a ticket, that of
            the key that it stands for.
        early: the key schedule's first stage.
    """

    identity: bytes
    kdf: Kdf
    binder: bytes
    early: EarlyStage = field(repr=False)
    session: ClientSession | None = None
    name: bytes | None = None


def offered_psks(prepared: PreparedClient, server_name: str | None) -> list[OfferedPsk]:
    """The ticket that is offered, if there is one, and the keys of the configuration, in order."""
    offered: list[OfferedPsk] = []
    if prepared.sessions is not None and server_name is not None:
        session = prepared.sessions.take(server_name, prepared.trust, prepared.wall())
        # Section 4.2.11: a PSK is bound to the hash of its suite.
        kdf = prepared.kdfs.get(SUITES[session.suite].hash) if session is not None else None
        if session is not None and kdf is not None:
            early = EarlyStage(kdf, session.secret)
            ticket = session.ticket
            offered.append(OfferedPsk(ticket, kdf, RESUMPTION_BINDER, early, session, session.psk_identity))
    for psk in prepared.psks:
        kdf = prepared.kdfs[psk.hash]
        offered.append(OfferedPsk(psk.identity, kdf, psk.binder, EarlyStage(kdf, psk.key), None, psk.name))
    return offered


def allows_early_data(prepared: PreparedClient, psks: list[OfferedPsk]) -> bool:
    """Whether 0-RTT data may be sent with the first of the keys (section 4.2.10)."""
    if prepared.early_data == "off" or not psks or psks[0].session is None:
        return False
    session = psks[0].session
    # They are sent by the suite and the protocol of the ticket's session: both must be offered again. The
    # server's name is the same, or the ticket would not have been found.
    return (
        session.max_early_data > 0
        and SUITES[session.suite] in prepared.suites
        and (session.alpn is None or session.alpn.encode("ascii") in prepared.alpn)
    )


def pack_with_binders(
    hello: ClientHello, psks: list[OfferedPsk], transcript: Transcript, wall: float
) -> bytes:
    """The hello's encoding, with pre_shared_key at its end (sections 4.2.11 and 4.2.11.2)."""
    identities = [PskIdentity(psk.identity, _obfuscated_age(psk.session, wall)) for psk in psks]
    # Zeros stand for the binders, which are the end of the message, until they can be computed.
    blanks = [bytes(psk.kdf.hash_length) for psk in psks]
    hello.extensions[ExtensionType.pre_shared_key] = pack_offered_psks(OfferedPsks(identities, blanks))
    packed = hello.pack()
    binders_length = 2 + sum(1 + len(blank) for blank in blanks)
    # Section 4.2.11.2: a binder covers the transcript up to the list of binders.
    truncated = packed[:-binders_length]
    digests: dict[HashName, bytes] = {}
    binders = bytearray()
    for psk in psks:
        name = psk.kdf.hash_name
        if name not in digests:
            digests[name] = transcript.digest_with(name, truncated)
        binder = psk.early.binder(digests[name], psk.binder)
        binders.append(len(binder))
        binders += binder
    return b"".join((truncated, (binders_length - 2).to_bytes(2, "big"), binders))


def _obfuscated_age(session: ClientSession | None, wall: float) -> int:
    # Section 4.2.11: for identities from outside an obfuscated_ticket_age of 0 SHOULD be used.
    if session is None:
        return 0
    return (int((wall - session.obtained) * 1000) + session.age_add) & 0xFFFFFFFF
