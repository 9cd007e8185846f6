"""OCSP staples and record_size_limit: programs that are not ours against our engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp

from mungos.tls import ClientConfig, Credential, ServerConfig
from tests.peers.tls_papers import Papers
from tests.peers.tls_programs import MEGABYTE, Stage, echo, free_port

TLS_1_3 = "NORMAL:-VERS-ALL:+VERS-TLS1.3"


def staple(papers: Papers) -> bytes:
    """An OCSPResponse about the certificate `p256`, signed by that itself: openssl shows it all the same."""
    leaf, issuer = map(x509.load_der_x509_certificate, papers.der("p256.pem"))
    key = load_pem_private_key((papers.folder / "p256.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC)
    built = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf,
        issuer=issuer,
        algorithm=SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=now - timedelta(days=1),
        next_update=now + timedelta(days=1),
        revocation_time=None,
        revocation_reason=None,
    )
    response = built.responder_id(ocsp.OCSPResponderEncoding.HASH, leaf).sign(key, SHA256())
    return response.public_bytes(Encoding.DER)


def shows(papers: Papers, **options: object) -> Credential:
    return replace(papers.credential("p256"), **options)  # type: ignore[arg-type]


@pytest.mark.foreign("openssl")
def test_s_client_is_shown_our_staple(
    stage: Stage, papers: Papers, foreign_program: Callable[[str], str]
) -> None:
    door = stage.listen(ServerConfig((shows(papers, staple=staple(papers)),)), echo)
    client = stage.run(
        foreign_program("openssl"), "s_client", "-connect", f"127.0.0.1:{door.port}", "-status"
    )
    stage.says(client, "OCSP Response Status: successful")
    stage.says(client, "Cert Status: good")
    stage.until(lambda: door.open)
    client.write(b"Q\n")
    stage.ends(client)
    stage.until(lambda: door.closed)
    door.end.ended_cleanly()


@pytest.mark.foreign("openssl")
@pytest.mark.parametrize("asks", [True, False])
def test_s_server_shows_us_its_staple(
    stage: Stage, papers: Papers, foreign_program: Callable[[str], str], tmp_path: Path, asks: bool
) -> None:
    file = tmp_path / "staple"
    file.write_bytes(staple(papers))
    server = stage.run(
        foreign_program("openssl"),
        *("s_server", "-accept", "127.0.0.1:0", "-cert", papers.path("p256.pem")),
        *("-cert_chain", papers.path("p256.pem"), "-key", papers.path("p256.key"), "-status_file", str(file)),
    )
    port = int(stage.says(server, r"^ACCEPT 127\.0\.0\.1:(\d+)")[1])
    end = stage.connect(port, ClientConfig(roots=papers.root, ask_staple=asks))
    stage.until(lambda: end.open or end.reason)
    assert end.agreed.ocsp_staple == (file.read_bytes() if asks else b"")
    end.close()
    stage.until(lambda: end.reason)


@pytest.mark.foreign("gnutls-cli")
@pytest.mark.parametrize("limit", [512, 1500, 4096])
def test_gnutls_cli_tells_a_limit_and_keeps_ours(
    stage: Stage, papers: Papers, foreign_program: Callable[[str], str], limit: int
) -> None:
    door = stage.listen(ServerConfig((papers.credential("p256"),), record_size_limit=700), echo)
    client = stage.run(
        foreign_program("gnutls-cli"),
        *("localhost", "-p", str(door.port), "--x509cafile", papers.path("root.pem"), "--priority", TLS_1_3),
        *("--recordsize", str(limit), "--logfile", papers.path("gnutls.log")),
    )
    # It loses what is longer than its records.
    client.write(b"= there and back\n")
    stage.says(client, "^= there and back$")
    data = MEGABYTE[:100_000]
    door.end.send(data)
    stage.until(lambda: data in client.output)
    assert door.end.engine._max_inner == 700
    assert door.end.engine._max_content == limit
    door.end.close()
    stage.ends(client)
    stage.until(lambda: door.closed)
    assert client.process.returncode == 0


@pytest.mark.foreign("gnutls-serv")
def test_gnutls_serv_tells_a_limit_and_keeps_ours(
    stage: Stage, papers: Papers, foreign_program: Callable[[str], str]
) -> None:
    port = free_port()
    server = stage.run(
        foreign_program("gnutls-serv"),
        *("-p", str(port), "--echo", "--crlf", "--disable-client-cert", "--priority", TLS_1_3),
        *("--x509certfile", papers.path("p256.pem"), "--x509keyfile", papers.path("p256.key")),
        *("--recordsize", "600"),
    )
    stage.says(server, r"listening on IPv4 .*done$")
    end = stage.connect(port, ClientConfig(roots=papers.root, record_size_limit=700))
    stage.until(lambda: end.open or end.reason)
    assert end.engine._max_content == 600
    assert end.engine._max_inner == 700
    data = MEGABYTE[:100_000]
    end.send(data)
    stage.until(lambda: len(end.data) >= len(data))
    assert end.data == data
    end.close()
    stage.until(lambda: end.reason)
    end.ended_cleanly()
