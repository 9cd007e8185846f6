"""Key exchange against the vectors of NIST and Wycheproof: points of small order, on the twist, not reduced,
of another curve, of no curve."""

from __future__ import annotations

from mungos.crypto.contract import BadShare, Provider
from tests.crypto.crypto_vectors import Case, check, flags, needs, number, octets

GROUPS = {"P-256": ("secp256r1", 32), "P-384": ("secp384r1", 48)}
GROUPS |= {group: (group, size) for group, size in GROUPS.values()}


def test_wycheproof_x25519(provider: Provider) -> None:
    needs(provider, "x25519")
    exchange = provider.key_exchange("x25519")

    def holds(_: dict[str, str], case: Case) -> bool:
        share = exchange.from_private_bytes(octets(case, "private"))
        # RFC 8446 section 7.4.2: the all-zero secret is refused. All else is computed, on the twist too and
        # from a coordinate that is not reduced (RFC 7748 section 5).
        try:
            secret = share.exchange(octets(case, "public"))
        except BadShare:
            return "ZeroSharedSecret" in flags(case)
        return "ZeroSharedSecret" not in flags(case) and secret == octets(case, "shared")

    check("wycheproof_x25519", 130, holds)


def test_wycheproof_ecdh(provider: Provider) -> None:
    def holds(parameters: dict[str, str], case: Case) -> bool:
        group, size = GROUPS[parameters["curve"]]
        exchange = provider.key_exchange(group)
        share = exchange.from_private_bytes(number(case, "private").to_bytes(size, "big"))
        # RFC 8446 section 4.2.8.2: a compressed point is no share, even where its curve holds it.
        refused = case["result"] == "invalid" or "CompressedPoint" in flags(case)
        try:
            secret = share.exchange(octets(case, "public"))
        except BadShare:
            return refused
        return not refused and secret == octets(case, "shared")

    check("wycheproof_ecdh", 170, holds)


def test_nist_ecdh(provider: Provider) -> None:
    def holds(parameters: dict[str, str], case: Case) -> bool:
        group, _ = GROUPS[parameters["curve"]]
        share = provider.key_exchange(group).from_private_bytes(octets(case, "private"))
        public = b"\4" + octets(case, "public_x") + octets(case, "public_y")
        peer = b"\4" + octets(case, "x") + octets(case, "y")
        return share.public == public and share.exchange(peer) == octets(case, "shared")

    check("nist_ecdh", 24, holds)


def test_nist_public_key_validation(provider: Provider) -> None:
    def holds(parameters: dict[str, str], case: Case) -> bool:
        group, size = GROUPS[parameters["curve"]]
        share = provider.key_exchange(group).from_private_bytes(bytes(size - 1) + b"\2")
        try:
            # A coordinate out of range can be longer than a coordinate is.
            x, y = (number(case, name) for name in ("x", "y"))
            share.exchange(b"\4" + x.to_bytes(size, "big") + y.to_bytes(size, "big"))
        except (BadShare, OverflowError):
            return case["result"] == "invalid"
        return case["result"] == "valid"

    check("nist_public_key_validation", 24, holds)
