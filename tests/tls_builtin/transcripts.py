"""Whole sessions of two ends of ours, made the same at every run: recorded once, replayed on every processor.

`python -m tests.tls_builtin.transcripts` records them anew, which is right only when what is sent was changed
on purpose. Randomness comes from SHA-256 over a counter, civil time stands still, and the certificates are
Ed25519's, whose signatures need no randomness; they are recorded, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from mungos.tls import SessionCache, TicketKeys
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.contract import Established
from mungos.tls.engines.builtin import BuiltinFactory
from tests.tls_builtin.ends import WALL, End

RECORDED = Path(__file__).parent / "vectors" / "transcripts.json"
TEXT = bytes(range(256)) * 90  # two records, the second not full
ROUNDS = 8  # a handshake with a HelloRetryRequest takes three of them, the application three

Role = Literal["client", "server"]
Flight = tuple[str, str]  # who sent it, and what, in hexadecimal


@dataclass(frozen=True)
class Scenario:
    """One kind of session.

    Args:
        suite, group: the only ones that the server has.
        shares: the groups that the client offers, the first with a share.
        client_certificate: whether the server demands one.
        sessions: how many one after the other; the second resumes the first.
    """

    suite: str = "TLS_AES_128_GCM_SHA256"
    group: str = "x25519"
    offered: tuple[str, ...] = ("x25519", "secp256r1", "secp384r1")
    client_certificate: bool = False
    sessions: int = 1


SCENARIOS = {
    "x25519": Scenario(),
    "secp256r1": Scenario("TLS_AES_256_GCM_SHA384", "secp256r1", ("secp256r1",)),
    "retry-to-secp384r1": Scenario("TLS_AES_256_GCM_SHA384", "secp384r1"),
    "chacha20-client-certificate": Scenario("TLS_CHACHA20_POLY1305_SHA256", client_certificate=True),
    "resumed": Scenario(sessions=2),
}


def counted(name: str) -> Callable[[int], bytes]:
    """Bytes that look random and are the same everywhere."""
    used = 0

    def random(size: int) -> bytes:
        nonlocal used
        out = bytearray()
        while len(out) < size:
            out += hashlib.sha256(f"{name} {used}".encode()).digest()
            used += 1
        return bytes(out[:size])

    return random


class Session:
    """The two ends of a scenario; `ends` makes them anew, one session after the other."""

    def __init__(self, name: str, credentials: dict[str, str], provider: str) -> None:
        self.scenario = SCENARIOS[name]
        own = credentials["key"].encode()
        shown = Credential(credentials["chain"].encode(), own)
        roots = credentials["roots"].encode()
        signing = provider if provider != "pure" else "pure-with-private-keys"
        demands = self.scenario.client_certificate
        self._client_config = ClientConfig(
            roots=roots,
            suites=(self.scenario.suite,),
            groups=self.scenario.offered,
            credential=shown if demands else None,
            sessions=SessionCache(),
            provider=signing if demands else provider,
        )
        self._server_config = ServerConfig(
            (shown,),
            suites=(self.scenario.suite,),
            groups=(self.scenario.group,),
            client_roots=roots if demands else None,
            client_auth="required" if demands else "none",
            tickets=TicketKeys(),
            provider=signing,
        )
        self._client = BuiltinFactory(counted(f"{name} client"), lambda: WALL)
        self._server = BuiltinFactory(counted(f"{name} server"), lambda: WALL)

    def client(self) -> End:
        """The next session's client."""
        return End(self._client.client(self._client_config, "localhost"))

    def server(self) -> End:
        """The next session's server."""
        return End(self._server.server(self._server_config))


def speak(end: End, role: Role, step: int) -> None:
    """What the application does at its `step`th turn after the handshake."""
    engine = end.engine
    if step == 0:
        assert engine.write([TEXT]) == len(TEXT)
    elif step == 1 and role == "client":
        engine.update_keys(requested=True)
        engine.write([b"under a new key"])
    elif step == 2:
        engine.close_write()


def turn(end: End, role: Role, arrived: bytes, step: int) -> tuple[bytes, int]:
    """One turn: take what arrived, speak if the handshake is done, give what is to be sent."""
    end.give(arrived)
    end.pull()
    if any(isinstance(event, Established) for event in end.events):
        speak(end, role, step)
        step += 1
    return end.take(), step


def flights(session: Session) -> Iterator[tuple[Role, bytes]]:
    """Both ends against each other, turn by turn."""
    client, server = session.client(), session.server()
    steps: dict[Role, int] = {"client": 0, "server": 0}
    to_client = b""
    for _ in range(ROUNDS):
        to_server, steps["client"] = turn(client, "client", to_client, steps["client"])
        yield "client", to_server
        to_client, steps["server"] = turn(server, "server", to_server, steps["server"])
        yield "server", to_client
    assert client.data[: len(TEXT)] == server.data[: len(TEXT)] == TEXT
    assert not client.failed
    assert not server.failed


def replay(session: Session, role: Role, recorded: list[Flight]) -> Iterator[tuple[bytes, bytes]]:
    """One end against the recorded other: pairs of what it sends and what it sent then."""
    end = session.client() if role == "client" else session.server()
    step, arrived = 0, b""
    for who, text in recorded:
        if who == role:
            sent, step = turn(end, role, arrived, step)
            yield sent, bytes.fromhex(text)
        else:
            arrived = bytes.fromhex(text)


def _credentials() -> dict[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    root_key, key = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
    begin = datetime.fromtimestamp(WALL, UTC) - timedelta(days=1)
    made = x509.CertificateBuilder(not_valid_before=begin, not_valid_after=begin + timedelta(days=365))
    root = (
        made.subject_name(name("root")).issuer_name(name("root")).public_key(root_key.public_key())
        .serial_number(1).add_extension(x509.BasicConstraints(True, None), critical=True).sign(root_key, None)
    )  # fmt: skip
    leaf = (
        made.subject_name(name("leaf")).issuer_name(name("root")).public_key(key.public_key()).serial_number(2)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(root_key, None)
    )  # fmt: skip
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "roots": root.public_bytes(Encoding.PEM).decode(),
        "chain": leaf.public_bytes(Encoding.PEM).decode(),
        "key": pem.decode(),
    }


def record() -> None:
    """Write every scenario into RECORDED."""
    credentials = _credentials()
    transcripts = {}
    for name, scenario in SCENARIOS.items():
        session = Session(name, credentials, "cryptography")
        transcripts[name] = [
            [(who, sent.hex()) for who, sent in flights(session)] for _ in range(scenario.sessions)
        ]
    RECORDED.write_text(json.dumps({"credentials": credentials, "transcripts": transcripts}, indent=0) + "\n")


if __name__ == "__main__":
    record()
