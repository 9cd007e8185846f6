"""Chains with and without faults, for comparing verdicts with other programs'."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from tests.crypto.crypto_fixed_rsa import rsa_key
from tests.x509.x509_forge import (
    ANY_PURPOSE,
    CLIENT_AUTH,
    CRL_SIGN,
    DAY,
    DIGITAL_SIGNATURE,
    KEY_CERT_SIGN,
    KEY_ENCIPHERMENT,
    NOW,
    SERVER_AUTH,
    Key,
    Made,
    alt_names,
    authority_key,
    basic_constraints,
    curve_key,
    directory,
    dns,
    ed_key,
    extension,
    ip,
    key_usage,
    make,
    name,
    name_constraints,
    oid,
    purposes,
    seq,
    subject_key,
    tlv,
)

HOST = "www.example.com"


@dataclass
class Plan:
    """One certificate before it is made: extensions by name, so that a fault can replace or drop one."""

    subject: bytes
    key: Key
    extensions: dict[str, bytes]
    not_before: int | bytes = NOW - 50 * DAY
    not_after: int | bytes = NOW + 50 * DAY
    serial: int = 0x5EED
    version: int = 3
    signer: Key | None = None
    algorithm: str | None = None
    identifier: bytes | None = None


@dataclass
class Chain:
    """Root first in `plans`, leaf last; what is shown and what is trusted is made from them."""

    plans: list[Plan]
    labels: list[str] = field(default_factory=list)
    host: str = HOST
    shuffle: bool = False
    trusted: bool = True
    missing: bool = False
    root_shown: bool = False
    extra_roots: list[Made] = field(default_factory=list)
    strangers: list[Made] = field(default_factory=list)
    flip: bool = False

    @property
    def leaf(self) -> Plan:
        return self.plans[-1]


@dataclass(frozen=True)
class Case:
    """What a verifier gets."""

    labels: tuple[str, ...]
    leaf: bytes
    others: tuple[bytes, ...]
    roots: tuple[bytes, ...]
    host: str


def plan_chain(depth: int, key_of: Callable[[int], Key] = curve_key) -> Chain:
    """A chain without a fault, with `depth` issuers between leaf and root."""
    plans: list[Plan] = []
    for level in range(depth + 1):
        key = key_of(level + 1)
        extensions = {
            "basic": basic_constraints(True),
            "usage": key_usage(KEY_CERT_SIGN | CRL_SIGN),
            "subject-key": subject_key(key),
        }
        if level:
            extensions["authority-key"] = authority_key(plans[-1].key)
        plans.append(Plan(name(f"issuer {level}", organization="Mungos Test"), key, extensions))
    key = key_of(90)
    extensions = {
        "names": alt_names(dns(HOST), dns("example.com"), ip("192.0.2.1")),
        "usage": key_usage(DIGITAL_SIGNATURE),
        "purposes": purposes(SERVER_AUTH),
        "authority-key": authority_key(plans[-1].key),
    }
    plans.append(Plan(name("leaf", organization="Mungos Test"), key, extensions))
    return Chain(plans)


def realize(chain: Chain, source: random.Random) -> Case:
    """Make the certificates."""
    made: list[Made] = []
    for plan in chain.plans:
        made.append(
            make(
                plan.subject,
                plan.key,
                list(plan.extensions.values()) if plan.version == 3 else None,
                issuer=made[-1] if made else None,
                not_before=plan.not_before,
                not_after=plan.not_after,
                serial=plan.serial,
                version=plan.version,
                signer=plan.signer,
                algorithm=plan.algorithm,
                identifier=plan.identifier,
            )
        )
    leaf = made[-1].der
    if chain.flip:
        leaf = leaf[:-1] + bytes((leaf[-1] ^ 1,))
    others = made[1:-1]
    if chain.missing:
        others = others[1:]
    shown = [each.der for each in others[::-1]]
    if chain.root_shown:
        shown.append(made[0].der)
    shown += [each.der for each in chain.strangers]
    if chain.shuffle:
        source.shuffle(shown)
    roots = [each.der for each in chain.extra_roots]
    if chain.trusted:
        roots.append(made[0].der)
    return Case(tuple(chain.labels), leaf, tuple(shown), tuple(roots), chain.host)


# --- faults, and things that look like faults ------------------------------------------------------------

Change = Callable[[Chain, random.Random], None]


def _leaf(**values: object) -> Change:
    def change(chain: Chain, _source: random.Random) -> None:
        for key, value in values.items():
            setattr(chain.leaf, key, value)

    return change


def _chain(**values: object) -> Change:
    def change(chain: Chain, _source: random.Random) -> None:
        for key, value in values.items():
            setattr(chain, key, value)

    return change


def _leaf_extension(key: str, value: bytes | None) -> Change:
    def change(chain: Chain, _source: random.Random) -> None:
        chain.leaf.extensions.pop(key, None)
        if value is not None:
            chain.leaf.extensions[key] = value

    return change


def _issuer(**values: object) -> Change:
    def change(chain: Chain, source: random.Random) -> None:
        plan = source.choice(chain.plans[1:-1] or chain.plans[:1])
        for key, value in values.items():
            setattr(plan, key, value)

    return change


def _root(**values: object) -> Change:
    def change(chain: Chain, _source: random.Random) -> None:
        for key, value in values.items():
            setattr(chain.plans[0], key, value)

    return change


def _issuer_extension(key: str, value: bytes | None) -> Change:
    def change(chain: Chain, source: random.Random) -> None:
        plan = source.choice(chain.plans[1:-1] or chain.plans[:1])
        plan.extensions.pop(key, None)
        if value is not None:
            plan.extensions[key] = value

    return change


def _first_issuer_extension(key: str, value: bytes) -> Change:
    """On the certificate right below the root, or on the root: so that everything else is below it."""

    def change(chain: Chain, _source: random.Random) -> None:
        plan = chain.plans[1] if len(chain.plans) > 2 else chain.plans[0]
        plan.extensions[key] = value

    return change


def _forged_root(chain: Chain, _source: random.Random) -> None:
    """The root in the store has the same name, and another key than the one that signed."""
    forged = curve_key(77)
    chain.extra_roots.append(
        make(
            chain.plans[0].subject,
            forged,
            [basic_constraints(True), key_usage(KEY_CERT_SIGN), subject_key(forged)],
        )
    )
    chain.trusted = False


def _twin_root(chain: Chain, _source: random.Random) -> None:
    _forged_root(chain, _source)
    chain.trusted = True


def _forged_issuer(chain: Chain, _source: random.Random) -> None:
    """The leaf is signed by a stranger who bears the issuer's name."""
    chain.leaf.signer = curve_key(78)
    chain.leaf.algorithm = "ecdsa-sha256"


def _forged_issuer_shown(chain: Chain, _source: random.Random) -> None:
    _forged_issuer(chain, _source)
    key = curve_key(78)
    chain.strangers.append(
        make(
            chain.plans[-2].subject,
            key,
            [basic_constraints(True), key_usage(KEY_CERT_SIGN), subject_key(key)],
        )
    )


def _strangers(chain: Chain, _source: random.Random) -> None:
    for number in (81, 82):
        key = curve_key(number)
        extensions = [basic_constraints(True), key_usage(KEY_CERT_SIGN), subject_key(key)]
        chain.strangers.append(make(f"stranger {number}", key, extensions))


def _leaf_is_root(chain: Chain, _source: random.Random) -> None:
    chain.plans = chain.plans[-1:]
    chain.leaf.extensions.pop("authority-key", None)


def _rollover(chain: Chain, _source: random.Random) -> None:
    """A self-issued certificate below the root."""
    root = chain.plans[0]
    key = curve_key(79)
    extensions = {
        "basic": basic_constraints(True),
        "usage": key_usage(KEY_CERT_SIGN),
        "subject-key": subject_key(key),
        "authority-key": authority_key(root.key),
    }
    chain.plans.insert(1, Plan(root.subject, key, extensions))
    chain.plans[2].extensions["authority-key"] = authority_key(key)


def _leaf_key(key: Callable[[], Key]) -> Change:
    def change(chain: Chain, _source: random.Random) -> None:
        chain.leaf.key = key()

    return change


def _issuer_key(key: Callable[[], Key]) -> Change:
    def change(chain: Chain, _source: random.Random) -> None:
        plan = chain.plans[-2]
        plan.key = key()
        plan.extensions["subject-key"] = subject_key(plan.key)
        chain.leaf.extensions["authority-key"] = authority_key(plan.key)

    return change


def _common_name_only(chain: Chain, _source: random.Random) -> None:
    chain.leaf.extensions.pop("names", None)
    chain.leaf.subject = name(HOST)


def _address_as_dns_name(chain: Chain, _source: random.Random) -> None:
    chain.leaf.extensions["names"] = alt_names(dns("192.0.2.9"))
    chain.host = "192.0.2.9"


def _email_constrained_and_there(chain: Chain, source: random.Random) -> None:
    CHANGES["email-constrained"](chain, source)
    chain.leaf.extensions["names"] = alt_names(dns(HOST), EMAIL)


ORGANIZATION = name("", organization="Mungos Test")
EMAIL = tlv(0x81, b"someone@example.com")
UNKNOWN = "1.3.6.1.4.1.99999.7"

CHANGES: dict[str, Change] = {
    "none": _chain(),
    # the leaf's dates, names and purposes
    "leaf-expired": _leaf(not_after=NOW - DAY),
    "leaf-future": _leaf(not_before=NOW + DAY),
    "leaf-odd-dates": _leaf(not_before=tlv(0x18, b"20260101000000Z")),
    "other-host": _chain(host="www.example.org"),
    "second-name": _chain(host="example.com"),
    "upper-case-name": _leaf_extension("names", alt_names(dns("WWW.Example.COM"))),
    "wildcard": _leaf_extension("names", alt_names(dns("*.example.com"))),
    "wildcard-two-labels": _leaf_extension("names", alt_names(dns("*.com"))),
    "wildcard-of-one-label": _leaf_extension("names", alt_names(dns("*.www.example.com"))),
    "wildcard-within-label": _leaf_extension("names", alt_names(dns("w*.example.com"))),
    "wildcard-in-the-middle": _leaf_extension("names", alt_names(dns("www.*.com"))),
    "name-with-trailing-dot": _leaf_extension("names", alt_names(dns("www.example.com."))),
    "name-with-leading-dot": _leaf_extension("names", alt_names(dns(".example.com"))),
    "names-absent": _leaf_extension("names", None),
    "names-critical": _leaf_extension("names", alt_names(dns(HOST), critical=True)),
    "name-only-as-common-name": _common_name_only,
    "address-for-a-name": _leaf_extension("names", alt_names(ip("192.0.2.1"))),
    "address": _chain(host="192.0.2.1"),
    "other-address": _chain(host="192.0.2.2"),
    "address-as-dns-name": _address_as_dns_name,
    "leaf-for-clients": _leaf_extension("purposes", purposes(CLIENT_AUTH)),
    "leaf-for-both": _leaf_extension("purposes", purposes(CLIENT_AUTH, SERVER_AUTH)),
    "leaf-for-anything": _leaf_extension("purposes", purposes(ANY_PURPOSE)),
    "leaf-without-purposes": _leaf_extension("purposes", None),
    "leaf-usage-encipherment": _leaf_extension("usage", key_usage(KEY_ENCIPHERMENT)),
    "leaf-usage-cert-sign": _leaf_extension("usage", key_usage(KEY_CERT_SIGN)),
    "leaf-without-usage": _leaf_extension("usage", None),
    "leaf-is-issuer": _leaf_extension("basic", basic_constraints(True)),
    "leaf-is-no-issuer": _leaf_extension("basic", basic_constraints(False)),
    "leaf-without-authority-key": _leaf_extension("authority-key", None),
    "leaf-unknown-critical": _leaf_extension("unknown", extension(UNKNOWN, b"x", True)),
    "leaf-unknown": _leaf_extension("unknown", extension(UNKNOWN, b"x")),
    "leaf-negative-serial": _leaf(serial=-7),
    "leaf-of-version-1": _leaf(version=1),
    "leaf-extension-twice": lambda chain, _: chain.leaf.extensions.update(again=alt_names(dns(HOST))),
    # keys and algorithms
    "leaf-ed25519": _leaf_key(lambda: ed_key(9)),
    "leaf-p384": _leaf_key(lambda: curve_key(9, ec.SECP384R1())),
    "leaf-p521": _leaf_key(lambda: curve_key(9, ec.SECP521R1())),
    "leaf-rsa": _leaf_key(rsa_key),
    "issuer-ed25519": _issuer_key(lambda: ed_key(8)),
    "issuer-p384": _issuer_key(lambda: curve_key(8, ec.SECP384R1())),
    "issuer-rsa": _issuer_key(rsa_key),
    "signature-flipped": _chain(flip=True),
    # issuers
    "issuer-expired": _issuer(not_after=NOW - DAY),
    "issuer-future": _issuer(not_before=NOW + DAY),
    "issuer-of-version-1": _issuer(version=1),
    "issuer-is-none": _issuer_extension("basic", basic_constraints(False)),
    "issuer-without-basic": _issuer_extension("basic", None),
    "issuer-basic-not-critical": _issuer_extension("basic", basic_constraints(True, critical=False)),
    "issuer-usage-crl": _issuer_extension("usage", key_usage(CRL_SIGN)),
    "issuer-without-usage": _issuer_extension("usage", None),
    "issuer-without-subject-key": _issuer_extension("subject-key", None),
    "issuer-for-clients": _issuer_extension("purposes", purposes(CLIENT_AUTH)),
    "issuer-for-servers": _issuer_extension("purposes", purposes(SERVER_AUTH)),
    "issuer-for-anything": _issuer_extension("purposes", purposes(ANY_PURPOSE)),
    "issuer-unknown-critical": _issuer_extension("unknown", extension(UNKNOWN, b"x", True)),
    "issuer-policy-critical": _issuer_extension(
        "policy", extension("2.5.29.32", seq(seq(oid("1.2.3"))), True)
    ),
    "path-length-0": _first_issuer_extension("basic", basic_constraints(True, 0)),
    "path-length-1": _first_issuer_extension("basic", basic_constraints(True, 1)),
    "path-length-9": _first_issuer_extension("basic", basic_constraints(True, 9)),
    "root-expired": _root(not_after=NOW - DAY),
    "root-future": _root(not_before=NOW + DAY),
    "root-odd-dates": _root(not_before=tlv(0x18, b"20260101000000Z")),
    "self-issued-rollover": _rollover,
    # name constraints
    "names-permitted": _first_issuer_extension(
        "constraints", name_constraints([dns("example.com"), ip("192.0.2.0/24")])
    ),
    "names-permitted-elsewhere": _first_issuer_extension(
        "constraints", name_constraints([dns("example.org")])
    ),
    "names-excluded": _first_issuer_extension("constraints", name_constraints([], [dns("www.example.com")])),
    "names-excluded-elsewhere": _first_issuer_extension(
        "constraints", name_constraints([], [dns("example.org")])
    ),
    "addresses-permitted-elsewhere": _first_issuer_extension(
        "constraints", name_constraints([ip("10.0.0.0/8")])
    ),
    "addresses-excluded": _first_issuer_extension("constraints", name_constraints([], [ip("192.0.2.0/24")])),
    "directory-permitted": _first_issuer_extension(
        "constraints", name_constraints([directory(ORGANIZATION)])
    ),
    "directory-excluded": _first_issuer_extension(
        "constraints", name_constraints([], [directory(ORGANIZATION)])
    ),
    "email-constrained": _first_issuer_extension("constraints", name_constraints([EMAIL])),
    "email-constrained-and-there": _email_constrained_and_there,
    # what is shown and what is trusted
    "root-not-trusted": _chain(trusted=False),
    "root-shown": _chain(root_shown=True),
    "issuer-missing": _chain(missing=True),
    "shuffled": _chain(shuffle=True, root_shown=True),
    "strangers": _strangers,
    "forged-root": _forged_root,
    "twin-root": _twin_root,
    "forged-issuer": _forged_issuer,
    "forged-issuer-shown": _forged_issuer_shown,
    "leaf-is-root": _leaf_is_root,
}

_LAST = {"leaf-is-root"}  # what removes plans comes after what changes them


def single(label: str, depth: int) -> Case:
    """A chain with one change."""
    source = random.Random(label)
    chain = plan_chain(depth)
    chain.labels.append(label)
    CHANGES[label](chain, source)
    return realize(chain, source)


def random_case(seed: int) -> Case:
    """A chain with up to three changes."""
    source = random.Random(seed)
    chain = plan_chain(source.choice([0, 1, 1, 2, 3]))
    labels = source.sample(sorted(set(CHANGES) - {"none"}), source.choice([0, 1, 1, 2, 2, 3]))
    for label in sorted(labels, key=lambda each: each in _LAST):
        chain.labels.append(label)
        CHANGES[label](chain, source)
    return realize(chain, source)
