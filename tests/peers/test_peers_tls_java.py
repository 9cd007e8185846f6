"""Java's TLS (JSSE) against our built-in TLS engine, by the program in `java/Peer.java`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mungos.errors import PeerIncompatible, ProtocolError
from mungos.tls import ClientConfig, ServerConfig, SessionCache, TicketKeys
from mungos.x509 import errors as x509
from tests.peers.tls_papers import OTHER_HOST, SCHEMES, Papers
from tests.peers.tls_programs import GROUPS, SUITES, End, Program, Stage, echo

pytestmark = pytest.mark.foreign("java")

SOURCE = Path(__file__).parent / "java" / "Peer.java"
# Java knows Ed25519 certificates, but not in TLS.
WAYS = list(zip(SUITES, GROUPS, ("p256", "p384", "rsa"), strict=True))
SIZE = 1 << 20

Java = Callable[..., Program]


@pytest.fixture
def java(stage: Stage, papers: Papers, foreign_program: Callable[[str], str]) -> Java:
    """Starts the program with system properties and arguments."""
    program = foreign_program("java")

    def run(*arguments: object, **properties: object) -> Program:
        named = properties.pop("groups", None)
        options = [f"-D{name}={value}" for name, value in properties.items()]
        if named is not None:
            options.append(f"-Djdk.tls.namedGroups={named}")
        return stage.run(
            program,
            *("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", f"-Dtrust={papers.path('root.pem')}"),
            *options,
            *(str(SOURCE), *map(str, arguments)),
        )

    return run


def serving(papers: Papers, *names: str, **options: object) -> ServerConfig:
    credentials = tuple(papers.credential(name) for name in names or ("p256",))
    return ServerConfig(credentials, **options)  # type: ignore[arg-type]


def config(papers: Papers, **options: object) -> ClientConfig:
    return ClientConfig(roots=papers.root, **options)  # type: ignore[arg-type]


def port_of(stage: Stage, server: Program) -> int:
    return int(stage.says(server, r"^listening (\d+)$")[1])


def converse(stage: Stage, end: End) -> None:
    """A line there and back, then our leave."""
    stage.until(lambda: end.open or end.reason)
    assert end.open, end.reason
    end.send(b"= there and back\n")
    stage.until(lambda: b"= there and back\n" in end.data)
    end.close()
    stage.until(lambda: end.reason)
    end.ended_cleanly()


@pytest.mark.parametrize(("suite", "group", "kind"), WAYS)
def test_java_client_comes_twice(
    stage: Stage, papers: Papers, java: Java, suite: str, group: str, kind: str
) -> None:
    """A mebibyte there and back, a certificate on both sides, ALPN, and a resumed session."""
    settings = serving(
        papers, kind, alpn=("b",), tickets=TicketKeys(), client_auth="required", client_roots=papers.root
    )
    door = stage.listen(settings, echo)
    shown = papers.path(f"client-{kind}.p12")
    client = java("client", door.port, 2, suites=suite, groups=group, keys=shown, alpn="a,b", size=SIZE)
    text = stage.ends(client)
    stage.until(lambda: door.closed)
    assert text.count("protocol TLSv1.3\n") == 2, text
    assert text.count(f"suite {suite}\n") == 2
    assert text.count("alpn b\n") == 2
    assert text.count(f"subject CN={kind}\n") == 2
    assert text.count(f"echoed {SIZE} true\n") == 2
    assert text.count("end -1\n") == 2
    # A resumed session keeps the time at which it was made.
    assert len(set(re.findall(r"^created (\d+)$", text, re.MULTILINE))) == 1
    assert [end.agreed.resumed for end in door.ends] == [False, True]
    for end in door.ends:
        end.ended_cleanly()
        agreed = end.agreed
        assert (agreed.suite, agreed.group, agreed.alpn) == (suite, group, "b")
        assert list(agreed.peer_chain) == papers.der(f"client-{kind}.pem")
    assert door.ends[0].agreed.scheme == SCHEMES[kind]


def test_java_client_is_asked_for_another_share(stage: Stage, papers: Papers, java: Java) -> None:
    """HelloRetryRequest with a cookie (RFC 8446 section 4.1.4), and resumption after it."""
    tickets = TicketKeys()
    settings = serving(papers, "p256", "other", groups=("secp384r1",), retry_cookie=True, tickets=tickets)
    door = stage.listen(settings, echo)
    text = stage.ends(java("client", door.port, 2, name=OTHER_HOST))
    stage.until(lambda: door.closed)
    assert text.count("echoed 1000 true\n") == 2, text
    assert text.count("subject CN=other\n") == 2
    assert [end.agreed.group for end in door.ends] == ["secp384r1"] * 2
    assert [end.agreed.server_name for end in door.ends] == [OTHER_HOST] * 2
    assert [end.agreed.resumed for end in door.ends] == [False, True]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("expired", "validity check failed"),
        ("misnamed", "No subject alternative DNS name matching localhost found"),
        ("stranger", "unable to find valid certification path"),
    ],
)
def test_java_client_refuses_our_certificate(
    stage: Stage, papers: Papers, java: Java, fault: str, told: str
) -> None:
    door = stage.listen(serving(papers, f"server-{fault}"))
    text = stage.ends(java("client", door.port, 1))
    stage.until(lambda: door.closed)
    assert re.search(f"^failed .*{told}", text, re.MULTILINE)
    door.end.failed(ProtocolError, "certificate_unknown", by_peer=True)


def test_java_client_without_tls_1_3(stage: Stage, papers: Papers, java: Java) -> None:
    door = stage.listen(serving(papers))
    text = stage.ends(java("client", door.port, 1, protocols="TLSv1.2"))
    stage.until(lambda: door.closed)
    assert re.search("^failed .*protocol_version", text, re.MULTILINE)
    assert "the engine 'openssl'" in door.end.failed(PeerIncompatible, "protocol_version", by_peer=False)


@pytest.mark.parametrize(("suite", "group", "kind"), WAYS)
def test_java_server_is_met_four_times(
    stage: Stage, papers: Papers, java: Java, suite: str, group: str, kind: str
) -> None:
    """Afresh, resumed, by way of a HelloRetryRequest (Java's has a cookie), and to refuse its certificate."""
    server = java(
        *("server", 4),
        suites=suite,
        groups=group,
        keys=papers.path(f"{kind}.p12"),
        alpn="b,a",
        needs="true",
    )
    port = port_of(stage, server)
    shown = papers.credential(f"client-{kind}")
    settings = config(papers, sessions=SessionCache(), alpn=("a",), credential=shown)
    first = stage.connect(port, settings)
    converse(stage, first)
    second = stage.connect(port, settings)
    converse(stage, second)
    assert (first.agreed.resumed, second.agreed.resumed) == (False, True)
    others = tuple(each for each in GROUPS if each != group)
    third = stage.connect(port, config(papers, credential=shown, groups=(*others, group)))
    converse(stage, third)
    assert (third.agreed.resumed, third.agreed.alpn) == (False, None)
    for end in (first, second, third):
        assert (end.agreed.suite, end.agreed.group) == (suite, group)
        assert list(end.agreed.peer_chain) == papers.der(f"{kind}.pem")
    assert (first.agreed.scheme, first.agreed.alpn) == (SCHEMES[kind], "a")
    fourth = stage.connect(port, config(papers, credential=shown), server_name="elsewhere.test")
    stage.until(lambda: fourth.reason)
    fourth.failed(x509.NameMismatch, "bad_certificate", by_peer=False)
    text = stage.ends(server)
    assert text.count(f"subject CN=client-{kind}\n") == 3, text
    assert text.count("end after 17\n") == 3
    assert re.search("^failed .*bad_certificate", text, re.MULTILINE)


def test_java_server_without_tls_1_3(stage: Stage, papers: Papers, java: Java) -> None:
    server = java("server", 1, protocols="TLSv1.2", keys=papers.path("p256.p12"))
    end = stage.connect(port_of(stage, server), config(papers))
    stage.until(lambda: end.reason)
    told = end.failed(PeerIncompatible, "protocol_version", by_peer=True)
    assert "the engine 'openssl'" in told
    assert "failed " in stage.ends(server)
