"""Building and checking paths: RFC 5280 section 6."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.errors import Misuse
from mungos.x509 import (
    BadCertificate,
    CertificateError,
    CertificateExpired,
    CertificateMalformed,
    CertificateNotYetValid,
    NameConstraintViolated,
    NameMismatch,
    NoCertificate,
    PathTooHard,
    PurposeMismatch,
    SignatureMismatch,
    TrustStore,
    UnknownIssuer,
    UnsupportedCertificate,
    VerifiedPath,
    verify_client,
    verify_server,
)
from mungos.x509.path import MAX_CHAIN, MAX_DEPTH, MAX_SIGNATURES
from tests.thinning import STRIDE
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
    Made,
    alt_names,
    authority_key,
    basic_constraints,
    curve_key,
    dns,
    ed_key,
    extension,
    ip,
    key_usage,
    make,
    make_issuer,
    make_leaf,
    make_root,
    name,
    name_constraints,
    purposes,
    subject_key,
    tlv,
)

PROVIDER = CryptographyProvider()
ROOT = make_root()
ISSUER = make_issuer(ROOT)
LEAF = make_leaf(ISSUER)


def check(
    chain: Sequence[Made], roots: Sequence[Made] = (ROOT,), host: str = "example.com", wall: float = NOW
) -> VerifiedPath:
    return verify_server(
        [made.der for made in chain], host, TrustStore(made.der for made in roots), PROVIDER, wall
    )


def refused(error: type[CertificateError], chain: Sequence[Made], roots: Sequence[Made] = (ROOT,)) -> None:
    with pytest.raises(error) as caught:
        check(chain, roots)
    assert type(caught.value) is error


def ders(path: VerifiedPath) -> list[bytes]:
    return [certificate.der for certificate in path.certificates]


# --- good paths ----------------------------------------------------------------------------------------


def test_leaf_and_root() -> None:
    leaf = make_leaf(ROOT)
    path = check([leaf])
    assert ders(path) == [leaf.der, ROOT.der]
    assert path.public_key.kind == "secp256r1"


def test_leaf_issuer_and_root_in_any_order_with_strangers() -> None:
    stranger = make_issuer(make_root("stranger", curve_key(7)), "stranger's", curve_key(8))
    assert ders(check([LEAF, ISSUER])) == [LEAF.der, ISSUER.der, ROOT.der]
    assert ders(check([LEAF, stranger, ROOT, ISSUER, ISSUER])) == [LEAF.der, ISSUER.der, ROOT.der]


def test_an_issuer_given_as_root_ends_the_path() -> None:
    assert ders(check([LEAF, ISSUER, ROOT], [ISSUER])) == [LEAF.der, ISSUER.der]


@pytest.mark.parametrize(
    "host", ["example.com", "EXAMPLE.COM.", "www.example.com", "192.0.2.7", "2001:db8::7"]
)
def test_names_that_fit(host: str) -> None:
    leaf = make_leaf(ROOT, [dns("example.com"), dns("*.example.com"), ip("192.0.2.7"), ip("2001:db8::7")])
    check([leaf], host=host)


@pytest.mark.parametrize("host", ["example.org", "a.b.example.com", "192.0.2.8", "2001:db8::8"])
def test_names_that_do_not(host: str) -> None:
    leaf = make_leaf(ROOT, [dns("example.com"), dns("*.example.com"), ip("192.0.2.7"), ip("2001:db8::7")])
    with pytest.raises(NameMismatch, match="does not bear the name"):
        check([leaf], host=host)


def test_no_name_at_all() -> None:
    refused(NameMismatch, [make_leaf(ROOT, [], common="example.com")])


def test_a_name_that_is_none_is_misuse() -> None:
    with pytest.raises(Misuse):
        check([LEAF, ISSUER], host="not a name")


@pytest.mark.parametrize(
    ("root_key", "leaf_key"),
    [
        (ed_key(1), ed_key(2)),
        (ed_key(1), curve_key(2)),
        (curve_key(1, ec.SECP384R1()), curve_key(2, ec.SECP384R1())),
    ],
    ids=["ed25519", "ed25519-p256", "p384"],
)
def test_other_keys(root_key: ec.EllipticCurvePrivateKey, leaf_key: ec.EllipticCurvePrivateKey) -> None:
    root = make_root(key=root_key)
    check([make_leaf(root, key=leaf_key)], [root])


@pytest.mark.parametrize("algorithm", ["ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"])
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=["p256", "p384"])
def test_rfc5758_any_curve_with_any_hash(algorithm: str, curve: ec.EllipticCurve) -> None:
    root = make_root(key=curve_key(1, curve))
    check([make_leaf(root, algorithm=algorithm)], [root])


# --- a certificate that is itself a root ----------------------------------------------------------------


SELF_SIGNED = make("self", curve_key(5), [alt_names(dns("example.com")), basic_constraints(True)])


def test_a_leaf_that_is_a_root_is_accepted_after_its_dates_and_names() -> None:
    assert ders(check([SELF_SIGNED], [SELF_SIGNED])) == [SELF_SIGNED.der]
    with pytest.raises(NameMismatch):
        check([SELF_SIGNED], [SELF_SIGNED], host="example.org")
    with pytest.raises(CertificateExpired):
        check([SELF_SIGNED], [SELF_SIGNED], wall=NOW + 101 * DAY)
    with pytest.raises(CertificateNotYetValid):
        check([SELF_SIGNED], [SELF_SIGNED], wall=NOW - 101 * DAY)


def test_a_leaf_that_somebody_else_issued_may_be_the_root() -> None:
    assert ders(check([LEAF], [LEAF])) == [LEAF.der]


def test_self_signed_and_not_a_root() -> None:
    own = make("self", curve_key(5), [alt_names(dns("example.com"))])
    refused(UnknownIssuer, [own])
    refused(UnknownIssuer, [own, own, ROOT])


def test_a_copy_of_a_root_that_differs_in_one_byte_is_not_the_root() -> None:
    twin = make("self", curve_key(6), [alt_names(dns("example.com"))])
    trusted = make("self", curve_key(5), [alt_names(dns("example.com"))])
    refused(SignatureMismatch, [twin], [trusted])


# --- forged issuers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 10, 100 // STRIDE])
@pytest.mark.parametrize("same_name", [False, True], ids=["own-names", "one-name"])
def test_a_forged_issuer_with_a_trusted_name_fails(count: int, same_name: bool) -> None:
    roots = [make_root("root" if same_name else f"root {i}", curve_key(100 + i)) for i in range(count)]
    forged_key = curve_key(99)
    for victim in {0, count // 2, count - 1}:
        trusted = roots[victim]
        forged = make_root("root" if same_name else f"root {victim}", forged_key)
        assert forged.subject == trusted.subject
        honest = make_leaf(trusted)
        assert ders(check([honest], roots)) == [honest.der, trusted.der]
        for identified in (True, False):
            leaf = make_leaf(forged, identified=identified)
            stolen = make_leaf(forged, extra=[authority_key(trusted.key)], identified=False)
            for chain in ([leaf], [leaf, forged], [leaf, trusted], [stolen, forged], [leaf, forged, trusted]):
                with pytest.raises((SignatureMismatch, UnknownIssuer, PathTooHard)):
                    check(chain, roots)
        below = make_issuer(forged, "between", curve_key(98))
        with pytest.raises((SignatureMismatch, UnknownIssuer, PathTooHard)):
            check([make_leaf(below), below, forged], roots)


def test_the_key_identifier_tells_which_key_was_meant() -> None:
    forged = make_root(key=curve_key(99))
    refused(UnknownIssuer, [make_leaf(forged)])
    refused(SignatureMismatch, [make_leaf(forged, identified=False)])
    refused(SignatureMismatch, [make_leaf(forged, identified=False, extra=[authority_key(ROOT.key)])])


def test_a_changed_leaf_or_issuer() -> None:
    changed = bytearray(LEAF.der)
    at = changed.index(b"example.com")
    changed[at : at + 11] = b"examp1e.com"
    with pytest.raises(SignatureMismatch):
        verify_server([bytes(changed), ISSUER.der], "examp1e.com", TrustStore([ROOT.der]), PROVIDER, NOW)
    refused(SignatureMismatch, [LEAF, Made(ISSUER.der[:-1] + bytes((ISSUER.der[-1] ^ 1,)), ISSUER.key, b"")])


def test_a_signature_by_the_right_key_over_other_bytes() -> None:
    leaf = make_leaf(ROOT)
    other = make_leaf(ROOT, common="other")
    mixed = leaf.der[:-64] + other.der[-64:]
    with pytest.raises(CertificateError):
        verify_server([mixed], "example.com", TrustStore([ROOT.der]), PROVIDER, NOW)


# --- dates ----------------------------------------------------------------------------------------------


def test_rfc5280_4_1_2_5_both_ends_are_inclusive() -> None:
    leaf = make_leaf(ROOT, not_before=NOW, not_after=NOW + 10)
    for wall in (NOW, NOW + 10, NOW + 10.9):
        check([leaf], wall=wall)
    with pytest.raises(CertificateNotYetValid, match="valid in 1 s"):
        check([leaf], wall=NOW - 1)
    with pytest.raises(CertificateExpired, match="expired 1 s ago"):
        check([leaf], wall=NOW + 11)


def test_dates_of_an_issuer_and_of_a_root() -> None:
    times = (
        (NOW - 9 * DAY, NOW - DAY, CertificateExpired),
        (NOW + DAY, NOW + 9 * DAY, CertificateNotYetValid),
    )
    for first, last, error in times:
        issuer = make_issuer(ROOT, not_before=first, not_after=last)
        refused(error, [make_leaf(issuer), issuer])
        root = make_root(not_before=first, not_after=last)
        refused(error, [make_leaf(root)], [root])


def test_rfc5280_4_1_2_5_odd_dates_are_forgiven_to_roots_only() -> None:
    odd = tlv(0x18, b"20260101000000Z")
    root = make_root(not_before=odd)
    check([make_leaf(root)], [root])
    refused(BadCertificate, [make_leaf(ROOT, not_before=odd)])
    issuer = make_issuer(ROOT, not_before=odd)
    refused(BadCertificate, [make_leaf(issuer), issuer])


# --- what an issuer must be -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extensions", "error"),
    [
        ([key_usage(KEY_CERT_SIGN)], BadCertificate),
        ([basic_constraints(False), key_usage(KEY_CERT_SIGN)], BadCertificate),
        ([basic_constraints(True), key_usage(CRL_SIGN | DIGITAL_SIGNATURE)], PurposeMismatch),
        ([basic_constraints(True), extension("1.2.3.4", b"", True)], UnsupportedCertificate),
        ([basic_constraints(True), purposes(CLIENT_AUTH)], PurposeMismatch),
        ([basic_constraints(True), purposes(ANY_PURPOSE)], PurposeMismatch),
        ([basic_constraints(True), basic_constraints(True)], CertificateMalformed),
        (None, BadCertificate),
    ],
)
@pytest.mark.parametrize("trusted", [False, True], ids=["between", "root"])
def test_rfc5280_6_1_4_issuers_that_are_none(
    extensions: list[bytes] | None, error: type[CertificateError], trusted: bool
) -> None:
    issuer = make("bad issuer", curve_key(2), extensions, issuer=ROOT)
    leaf = make_leaf(issuer)
    if not trusted:
        refused(error, [leaf, issuer])
    elif error is not CertificateMalformed:
        refused(error, [leaf], [issuer])
    else:
        with pytest.raises(CertificateMalformed):
            TrustStore([issuer.der])
        assert len(TrustStore([issuer.der], tolerant=True)) == 1
        with pytest.raises(UnknownIssuer):
            verify_server([leaf.der], "example.com", TrustStore([issuer.der], tolerant=True), PROVIDER, NOW)


@pytest.mark.parametrize("extensions", [[basic_constraints(True)], [basic_constraints(True, critical=False)]])
def test_issuers_that_say_little(extensions: list[bytes]) -> None:
    issuer = make("issuer", curve_key(2), extensions, issuer=ROOT)
    check([make_leaf(issuer), issuer])


def test_a_leaf_can_issue_nothing() -> None:
    refused(BadCertificate, [make_leaf(LEAF, key=curve_key(4), common="below"), LEAF, ISSUER])


@pytest.mark.parametrize("version", [1, 2])
def test_only_version_3(version: int) -> None:
    root = make("old root", curve_key(1), None, version=version)
    refused(UnsupportedCertificate, [make_leaf(root)], [root])
    leaf = make("old leaf", curve_key(3), None, version=version, issuer=ROOT)
    with pytest.raises(UnsupportedCertificate):
        verify_client([leaf.der], TrustStore([ROOT.der]), PROVIDER, NOW)


def test_negative_serial_number() -> None:
    refused(BadCertificate, [make_leaf(ROOT, serial=-1)])
    check([make_leaf(ROOT, serial=0)])


# --- path length ----------------------------------------------------------------------------------------


def test_rfc5280_4_2_1_9_path_length() -> None:
    for allowed in range(3):
        root = make_root(path_length=allowed)
        chain = [root]
        for depth in range(3):
            leaf = make_leaf(chain[-1])
            if depth <= allowed:
                check([leaf, *chain[1:]], [root])
            else:
                refused(BadCertificate, [leaf, *chain[1:]], [root])
            chain.append(make_issuer(chain[-1], f"issuer {depth}", curve_key(10 + depth)))


def test_rfc5280_6_1_4_l_self_issued_issuers_are_not_counted() -> None:
    root = make_root(path_length=0)
    rollover = make_issuer(root, "root", curve_key(11))
    assert rollover.subject == root.subject
    check([make_leaf(rollover), rollover], [root])
    other = make_issuer(root, "other", curve_key(11))
    refused(BadCertificate, [make_leaf(other), other], [root])


# --- purposes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("meant_for", "server", "client"),
    [
        ([SERVER_AUTH], True, False),
        ([CLIENT_AUTH], False, True),
        ([SERVER_AUTH, CLIENT_AUTH], True, True),
        ([], True, True),
        ([ANY_PURPOSE], False, False),
        (["1.3.6.1.5.5.7.3.4"], False, False),
    ],
)
def test_rfc5280_4_2_1_12_purposes(meant_for: list[str], server: bool, client: bool) -> None:
    roots = TrustStore([ROOT.der])
    calls: list[tuple[bool, Callable[[list[bytes]], VerifiedPath]]] = [
        (server, lambda chain: verify_server(chain, "example.com", roots, PROVIDER, NOW)),
        (client, lambda chain: verify_client(chain, roots, PROVIDER, NOW)),
    ]
    issuer = make_issuer(ROOT, extra=[purposes(*meant_for)] if meant_for else [])
    for fits, verify in calls:
        for chain in (
            [make_leaf(ROOT, meant_for=meant_for)],
            [make_leaf(issuer, meant_for=[SERVER_AUTH, CLIENT_AUTH]), issuer],
        ):
            if fits:
                verify([made.der for made in chain])
            else:
                with pytest.raises(PurposeMismatch):
                    verify([made.der for made in chain])


@pytest.mark.parametrize(
    ("usage", "fits"),
    [(DIGITAL_SIGNATURE, True), (0, True), (KEY_ENCIPHERMENT, False), (KEY_CERT_SIGN, False)],
)
def test_rfc8446_4_4_2_2_digital_signature(usage: int, fits: bool) -> None:
    leaf = make_leaf(ROOT, usage=usage)
    if fits:
        check([leaf])
    else:
        refused(PurposeMismatch, [leaf])


def test_an_issuer_shown_as_the_peers_own() -> None:
    refused(BadCertificate, [make_leaf(ROOT, extra=[basic_constraints(True)])])


def test_a_critical_extension_that_is_not_known() -> None:
    refused(UnsupportedCertificate, [make_leaf(ROOT, extra=[extension("1.2.3.4", b"", True)])])
    check([make_leaf(ROOT, extra=[extension("1.2.3.4", b"")])])


# --- name constraints -----------------------------------------------------------------------------------


def test_rfc5280_4_2_1_10_name_constraints_of_issuers_and_roots() -> None:
    ours, theirs = name_constraints([dns("example.com")]), name_constraints([dns("example.org")])
    away = name_constraints(excluded=[dns("example.com")])
    for extra, fits in ((ours, True), (theirs, False), (away, False)):
        issuer = make_issuer(ROOT, extra=[extra])
        root = make_root(extra=[extra])
        below = make_issuer(root, "below", curve_key(12))
        for chain, roots in (
            ([make_leaf(issuer), issuer], [ROOT]),
            ([make_leaf(root)], [root]),
            ([make_leaf(below), below], [root]),
        ):
            if fits:
                check(chain, roots)
            else:
                refused(NameConstraintViolated, chain, roots)


def test_rfc5280_6_1_3_b_self_issued_issuers_are_not_constrained() -> None:
    def tree(prefix: bytes) -> bytes:
        return tlv(0xA4, prefix)

    organization = name("", organization="Mungos Test")
    root = make("root", curve_key(1), [basic_constraints(True), name_constraints([tree(organization)])])
    leaf_name = name("leaf", organization="Mungos Test")
    rollover = make_issuer(root, "root", curve_key(11))
    extensions = [alt_names(dns("example.com"))]
    check([make(leaf_name, curve_key(3), extensions, issuer=rollover), rollover], [root])
    refused(
        NameConstraintViolated, [make("leaf", curve_key(3), extensions, issuer=rollover), rollover], [root]
    )
    # The last certificate is held to it even when it is self-issued.
    last = make("root", curve_key(3), extensions, issuer=root)
    refused(NameConstraintViolated, [last], [root])


# --- several ways ---------------------------------------------------------------------------------------


def test_cross_signed_issuers_any_way_that_holds() -> None:
    old_root, new_root = make_root("old", curve_key(21)), make_root("new", curve_key(22))
    key = curve_key(23)
    issuers = [
        make_issuer(make_root("unknown", curve_key(24)), "issuer", key),
        make_issuer(old_root, "issuer", key, not_after=NOW - DAY),
        make_issuer(new_root, "issuer", key),
    ]
    leaf = make_leaf(issuers[0])
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        chain = [leaf, *(issuers[i] for i in order)]
        assert ders(check(chain, [old_root, new_root])) == [leaf.der, issuers[2].der, new_root.der]
    refused(CertificateExpired, [leaf, *issuers], [old_root])


def test_an_expired_root_and_its_successor_of_the_same_name_and_key() -> None:
    key = curve_key(21)
    expired, current = make_root("root", key, not_after=NOW - DAY), make_root("root", key)
    leaf = make_leaf(current)
    assert ders(check([leaf], [expired, current])) == [leaf.der, current.der]
    refused(CertificateExpired, [leaf], [expired])


def test_the_reason_told_is_that_of_the_nearest_path() -> None:
    root = make_root(path_length=0)
    issuer = make_issuer(root)
    stranger = make_issuer(make_root("stranger", curve_key(7)), "issuer", curve_key(8))
    refused(BadCertificate, [make_leaf(issuer), stranger, issuer], [root])
    refused(BadCertificate, [make_leaf(issuer), issuer, stranger], [root])


def test_a_broken_certificate_that_is_not_needed_is_passed_over() -> None:
    roots = TrustStore([ROOT.der])
    verify_server([LEAF.der, b"", b"\x30\x80", ISSUER.der], "example.com", roots, PROVIDER, NOW)
    with pytest.raises(CertificateMalformed):
        verify_server([LEAF.der, ISSUER.der[:-1]], "example.com", roots, PROVIDER, NOW)


# --- nothing, and too much ------------------------------------------------------------------------------


def test_no_certificate() -> None:
    refused(NoCertificate, [])
    with pytest.raises(NoCertificate):
        verify_client([], TrustStore([ROOT.der]), PROVIDER, NOW)


def test_no_roots() -> None:
    refused(UnknownIssuer, [LEAF, ISSUER, ROOT], [])


def test_a_leaf_that_is_broken() -> None:
    with pytest.raises(CertificateMalformed):
        verify_server([LEAF.der[:-1]], "example.com", TrustStore([ROOT.der]), PROVIDER, NOW)


def test_missing_issuer() -> None:
    refused(UnknownIssuer, [LEAF])
    refused(UnknownIssuer, [LEAF, ROOT])


def test_chain_length_is_bounded() -> None:
    check([LEAF, *[ISSUER] * (MAX_CHAIN - 1)])
    refused(PathTooHard, [LEAF, *[ISSUER] * MAX_CHAIN])


def test_depth_is_bounded() -> None:
    chain = [ROOT]
    for depth in range(MAX_DEPTH):
        chain.append(make_issuer(chain[-1], f"issuer {depth}", curve_key(30 + depth)))
    check([make_leaf(chain[-2]), *chain[1:-1]])
    refused(PathTooHard, [make_leaf(chain[-1]), *chain[1:]])


def test_loops_end() -> None:
    one, two = curve_key(41), curve_key(42)
    a, b = make("a", one, [basic_constraints(True)]), make("b", two, [basic_constraints(True)])
    a_by_b = make("a", one, [basic_constraints(True)], issuer=b)
    b_by_a = make("b", two, [basic_constraints(True)], issuer=a)
    refused(UnknownIssuer, [make_leaf(a), a, b, a_by_b, b_by_a])


def test_issuers_that_name_each_other_are_told_without_end_to_it() -> None:
    one, two = curve_key(41), curve_key(42)
    a, b = make("a", one, [basic_constraints(True)]), make("b", two, [basic_constraints(True)])
    a_by_b = make("a", one, [basic_constraints(True)], issuer=b)
    b_by_a = make("b", two, [basic_constraints(True)], issuer=a)
    with pytest.raises(UnknownIssuer, match=r"was issued by CN=[ab], which is not trusted"):
        check([make_leaf(a), a_by_b, b_by_a])


def test_signatures_are_bounded() -> None:
    """Every issuer could be every other's: a search without a budget would go through all permutations."""
    keys = [curve_key(50 + i) for i in range(MAX_CHAIN - 1)]
    shared = [make("x", key, [basic_constraints(True)]) for key in keys]
    signer = curve_key(49)
    wide = [make("x", key, [basic_constraints(True)], issuer_name=name("x"), signer=signer) for key in keys]
    leaf = make_leaf(shared[0], identified=False, signer=signer)
    before = time.process_time()
    with pytest.raises((PathTooHard, SignatureMismatch, UnknownIssuer)):
        check([leaf, *wide])
    # One key, many certificates of one name that differ: each proves each.
    many = [
        make("x", signer, [basic_constraints(True), extension(f"1.2.{i}", b"")], serial=i)
        for i in range(MAX_CHAIN - 1)
    ]
    with pytest.raises((PathTooHard, SignatureMismatch, UnknownIssuer)):
        check([leaf, *many])
    assert time.process_time() - before < 5
    roots = [make_root("x", curve_key(200 + i)) for i in range(MAX_SIGNATURES + 1)]
    refused(PathTooHard, [make_leaf(make_root("x", signer), identified=False)], roots)


# --- algorithms -----------------------------------------------------------------------------------------


def test_signature_algorithms_that_are_not_spoken() -> None:
    from tests.x509.x509_forge import IDENTIFIERS, oid, seq

    for identifier in (IDENTIFIERS["rsa-sha1"], seq(oid("1.2.840.10045.4.1")), seq(oid("1.3.101.113"))):
        refused(UnsupportedCertificate, [make_leaf(ROOT, identifier=identifier)])
    # A fitting algorithm of another family than the key's.
    refused(SignatureMismatch, [make_leaf(ROOT, identifier=IDENTIFIERS["rsa-sha256"])])
    refused(SignatureMismatch, [make_leaf(ROOT, identifier=IDENTIFIERS["ed25519"])])
    # RFC 5758 section 3.2: parameters are absent.
    with_null = seq(oid("1.2.840.10045.4.3.2"), tlv(5))
    refused(UnsupportedCertificate, [make_leaf(ROOT, identifier=with_null)])


def test_a_key_on_a_curve_that_is_not_spoken() -> None:
    p521 = curve_key(1, ec.SECP521R1())
    refused(UnsupportedCertificate, [make_leaf(ROOT, key=p521)])
    root = make_root(key=p521)
    refused(UnsupportedCertificate, [make_leaf(root)], [root])


def test_subject_key_identifiers_order_candidates_but_prove_nothing() -> None:
    liar = make("root", curve_key(61), [basic_constraints(True), subject_key(ROOT.key)])
    honest = make_leaf(ROOT)
    assert ders(check([honest], [liar, ROOT])) == [honest.der, ROOT.der]
    assert ders(check([honest, liar])) == [honest.der, ROOT.der]
