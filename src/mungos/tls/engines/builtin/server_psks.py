"""Which of a client's keys a server takes: its own ticket, or one from outside (RFC 8446 section 4.2.11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mungos.errors import ProtocolError
from mungos.tls.engines.builtin.faults import BadFinished
from mungos.tls.engines.builtin.key_schedule import EarlyStage, Transcript
from mungos.tls.engines.builtin.messages import ClientHello, ExtensionType
from mungos.tls.engines.builtin.messages.extensions import PskIdentity, parse_offered_psks
from mungos.tls.engines.builtin.offer import Offer
from mungos.tls.engines.builtin.preparation import PreparedServer
from mungos.tls.engines.builtin.psks import RESUMPTION_BINDER
from mungos.tls.engines.builtin.suites import SUITES_BY_CODE, Suite
from mungos.tls.engines.builtin.tickets import TicketState, open_ticket
from mungos.x509 import verify_client

__all__ = ["MAX_OFFERED_PSKS", "AcceptedPsk", "accept_psk", "admits_early_data"]

MAX_OFFERED_PSKS = 8
"""Keys of one ClientHello that are looked at; the others are passed over."""

PSK_DHE_KE = 1


@dataclass(slots=True)
class AcceptedPsk:
    """A key whose binder fits.

    Attributes:
        index: among the client's.
        offered: as it stood in the hello.
        suite: the cipher suite that is spoken with it.
        early: the key schedule's first stage.
        ticket: what a ticket holds; None for a key from outside.
        name: the configured identity of the key from outside, or of that for which the ticket stands.
    """

    index: int
    offered: PskIdentity
    suite: Suite
    early: EarlyStage = field(repr=False)
    ticket: TicketState | None
    name: bytes | None


def accept_psk(
    prepared: PreparedServer,
    hello: ClientHello,
    offer: Offer,
    message: bytes,
    transcript: Transcript,
    suites: Sequence[Suite],
) -> AcceptedPsk | None:
    """The first key that can be used with one of `suites`, its binder checked; None when there is none."""
    body = hello.extensions.get(ExtensionType.pre_shared_key)
    if body is None:
        return None
    offered = parse_offered_psks(body)
    # Section 4.2.9: keys are used with a key exchange only.
    if PSK_DHE_KE not in offer.psk_modes:
        return None
    for index, identity in enumerate(offered.identities[:MAX_OFFERED_PSKS]):
        found = prepared.psks_by_identity.get(identity.identity) or _ticket(prepared, identity.identity)
        if found is None:
            continue
        if isinstance(found, TicketState):
            used = SUITES_BY_CODE.get(found.suite)
            hash_name = used.hash if used is not None else ""
            key, label, name, ticket = found.psk, RESUMPTION_BINDER, found.psk_identity, found
        else:
            hash_name, key, label, name, ticket = found.hash, found.key, found.binder, found.name, None
        # Section 4.2.11: the PSK's hash must be that of the suite.
        suite = next((suite for suite in suites if suite.hash == hash_name), None)
        if suite is None:
            continue
        digest = transcript.digest_with(suite.hash, message[: -offered.binders_length])
        early = EarlyStage(prepared.kdfs[suite.hash], key)
        expected = early.binder(digest, label)
        # Section 4.2.11: "If this value is not present or does not validate, the server MUST abort".
        if not prepared.provider.constant_time_equal(offered.binders[index], expected):
            raise BadFinished("the PSK's binder does not fit the ClientHello")
        return AcceptedPsk(index, identity, suite, early, ticket, name)
    return None


def _ticket(prepared: PreparedServer, identity: bytes) -> TicketState | None:
    if prepared.tickets is None:
        return None
    state = open_ticket(identity, prepared.tickets, prepared.provider, prepared.wall())
    return state if state is not None and _still_welcome(prepared, state) else None


def _still_welcome(prepared: PreparedServer, state: TicketState) -> bool:
    """Whether what the client showed at first is enough now: a resumption asks for no certificate."""
    if state.psk_identity is not None:
        return state.psk_identity in prepared.psk_names
    if prepared.client_roots is None:
        return True  # nobody is asked for a certificate
    if not state.client_chain:
        return prepared.client_auth == "optional"
    try:
        verify_client(state.client_chain, prepared.client_roots, prepared.provider, prepared.wall())
    except ProtocolError:
        return False
    return True


def admits_early_data(
    prepared: PreparedServer, psk: AcceptedPsk, suite: Suite, alpn: str | None, server_name: str | None
) -> bool:
    """Whether 0-RTT data that came with an accepted key are taken (sections 4.2.10 and 8)."""
    guard, ticket = prepared.early_data, psk.ticket
    # Section 4.2.10: the first key, and what the ticket's session had agreed on.
    if guard is None or ticket is None or psk.index != 0 or not ticket.max_early_data:
        return False
    if ticket.suite != suite.code or ticket.alpn != alpn or ticket.server_name != server_name:
        return False
    age = (psk.offered.obfuscated_age - ticket.age_add & 0xFFFFFFFF) / 1000
    name = prepared.provider.digest("sha256", psk.offered.identity)
    return guard.admit(name, issued=ticket.issued, age=age, wall=prepared.wall())
