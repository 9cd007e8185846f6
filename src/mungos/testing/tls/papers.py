"""Certificates and keys of the kit: fixed, valid from 2020 to 2098, worth nothing outside of it."""

from __future__ import annotations

import functools
import ssl
import tempfile
from pathlib import Path

from mungos.tls import ClientConfig, Credential, ServerConfig

__all__ = [
    "WALL",
    "client_config",
    "credential",
    "ed25519_credential",
    "foreign_context",
    "is_cut",
    "roots",
    "server_config",
    "wide_credential",
]

WALL = 1_800_000_000.0
"""Civil time in the kit, seconds since 1970: where an engine takes it from its caller, today is no matter."""

_IGNORE_UNEXPECTED_EOF = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
_TLS_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}

_ROOT = b"""\
-----BEGIN CERTIFICATE-----
MIIBeDCCAR2gAwIBAgIBATAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBdNdW5nb3Mg
Y29uZm9ybWFuY2Ugcm9vdDAgFw0yMDAxMDEwMDAwMDBaGA8yMDk5MDEwMTAwMDAw
MFowIjEgMB4GA1UEAwwXTXVuZ29zIGNvbmZvcm1hbmNlIHJvb3QwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAARmVuT8fsCQKvzOMbiGmjh3+QH+fMGhy6GhKOU6vUBB
loS+in4TWo1kmLZNu5wSQ6bQ1sf0tU5LiIMZuW+S3JaKo0IwQDAPBgNVHRMBAf8E
BTADAQH/MA4GA1UdDwEB/wQEAwIBhjAdBgNVHQ4EFgQU2LWH/9FDse07n/HtuIYA
hgMZjwUwCgYIKoZIzj0EAwIDSQAwRgIhANZ0bwpuHZybzzq5yGz9/JdwHcOtLDZ7
CXEsjTC0853fAiEAto6e5/KlIIZu8Bgp+67k+1FJh3Klq2RIfS31i8Attuw=
-----END CERTIFICATE-----
"""

_LEAF = b"""\
-----BEGIN CERTIFICATE-----
MIIBwzCCAWqgAwIBAgIBAzAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBdNdW5nb3Mg
Y29uZm9ybWFuY2Ugcm9vdDAgFw0yMDAxMDEwMDAwMDBaGA8yMDk5MDEwMTAwMDAw
MFowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEc9XZsdhJzDYareMWGG3Z+hYOqP6LibxamcBCWdI5eKJZ43QSw9tEMOnT9+IG
j85liopirAAeweo2MQ9LeXd/iaOBnDCBmTAMBgNVHRMBAf8EAjAAMA4GA1UdDwEB
/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIwGgYDVR0RBBMw
EYIJbG9jYWxob3N0hwR/AAABMB0GA1UdDgQWBBSlKepDcbofXmDpuhDh1hCzFfS6
JDAfBgNVHSMEGDAWgBTYtYf/0UOx7Tuf8e24hgCGAxmPBTAKBggqhkjOPQQDAgNH
ADBEAiBy8WKjCqO3ekWmqQuF8sqkoK2rvORvVRQ8C6ejMtE+SgIgI3BLJ4g6EI1f
dYCm8GND2G84LT2T0g5wMX0N3TsnLaE=
-----END CERTIFICATE-----
"""

_LEAF_KEY = b"""\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXmd5pxFeoeWIoKjE
DGO0pA/VDoielsIVNZhAFedtvwShRANCAARz1dmx2EnMNhqt4xYYbdn6Fg6o/ouJ
vFqZwEJZ0jl4olnjdBLD20Qw6dP34gaPzmWKimKsAB7B6jYxD0t5d3+J
-----END PRIVATE KEY-----
"""

_STRANGER_ROOT = b"""\
-----BEGIN CERTIFICATE-----
MIIBgDCCASWgAwIBAgIBAjAKBggqhkjOPQQDAjAmMSQwIgYDVQQDDBtNdW5nb3Mg
Y29uZm9ybWFuY2Ugc3RyYW5nZXIwIBcNMjAwMTAxMDAwMDAwWhgPMjA5OTAxMDEw
MDAwMDBaMCYxJDAiBgNVBAMMG011bmdvcyBjb25mb3JtYW5jZSBzdHJhbmdlcjBZ
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABOhrzrZh5MxfP4YMcdffmpP8TQLRSyiQ
ZY6nQUK5KMs56MLsBJApo9BqjyvhuYuCa0DKygim5je9PThnfKZRJ2ijQjBAMA8G
A1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgGGMB0GA1UdDgQWBBTNgiYpC/ZS
S8m6OyyZfVA4ZNFUxTAKBggqhkjOPQQDAgNJADBGAiEA+dpZpd5ueo3S9l8A1Z5Y
ZlKyNIERofStNUITcKaYXRICIQCGUC6+qv/rovEoJNjp8OAHGJaso91nV1dX4teO
ArnVgw==
-----END CERTIFICATE-----
"""

_STRANGER_LEAF = b"""\
-----BEGIN CERTIFICATE-----
MIIBxzCCAW6gAwIBAgIBBDAKBggqhkjOPQQDAjAmMSQwIgYDVQQDDBtNdW5nb3Mg
Y29uZm9ybWFuY2Ugc3RyYW5nZXIwIBcNMjAwMTAxMDAwMDAwWhgPMjA5OTAxMDEw
MDAwMDBaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABGyX48ki1QrmwjaMXPCAqWgWzSlEGCOxkBEaDdZ3sUcQ5r1wHLGrNA2M
1IdbbRklaMCFCmx4HeFUgIt6rm+BNR+jgZwwgZkwDAYDVR0TAQH/BAIwADAOBgNV
HQ8BAf8EBAMCB4AwHQYDVR0lBBYwFAYIKwYBBQUHAwEGCCsGAQUFBwMCMBoGA1Ud
EQQTMBGCCWxvY2FsaG9zdIcEfwAAATAdBgNVHQ4EFgQUtH2DaAQvFERSlvGR+7vM
E+JYnpswHwYDVR0jBBgwFoAUzYImKQv2UkvJujssmX1QOGTRVMUwCgYIKoZIzj0E
AwIDRwAwRAIgDGnge3fTVXTttuuQRbJD1VJICXVRIDY7F59kKCbrQ9oCIAlbEcJ2
KNsAa6/U+BE/S5ULfWx7bprp17URrvyPs6Y4
-----END CERTIFICATE-----
"""

_STRANGER_KEY = b"""\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBS34uXzaKN8E2TFt
h9OM0sCxolnhILNCuE2B93KjzLKhRANCAARsl+PJItUK5sI2jFzwgKloFs0pRBgj
sZARGg3Wd7FHEOa9cByxqzQNjNSHW20ZJWjAhQpseB3hVICLeq5vgTUf
-----END PRIVATE KEY-----
"""

_ED25519_LEAF = b"""\
-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIBBTAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBdNdW5nb3Mg
Y29uZm9ybWFuY2Ugcm9vdDAgFw0yMDAxMDEwMDAwMDBaGA8yMDk5MDEwMTAwMDAw
MFowFDESMBAGA1UEAwwJbG9jYWxob3N0MCowBQYDK2VwAyEAnCHb87BE1/XQREBh
cZIjNYKUhjMAO9YdOQ9If5sn/uOjgZwwgZkwDAYDVR0TAQH/BAIwADAOBgNVHQ8B
Af8EBAMCB4AwHQYDVR0lBBYwFAYIKwYBBQUHAwEGCCsGAQUFBwMCMBoGA1UdEQQT
MBGCCWxvY2FsaG9zdIcEfwAAATAdBgNVHQ4EFgQUe4YRwco2mtligiWT5Uj1XWi8
mUswHwYDVR0jBBgwFoAU2LWH/9FDse07n/HtuIYAhgMZjwUwCgYIKoZIzj0EAwID
SQAwRgIhAIwD9WkcAuAuGhb3PXInjV6uvhJZy9YfE/MKBC3nqU+lAiEAu4prUWLI
nxJg2B8pMES7V12WBmGcHkY5UzmSFSoDzJs=
-----END CERTIFICATE-----
"""

_ED25519_KEY = b"""\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIBTbSMUn6ouZmN1viIjVfj7g21kDKDsnS70iQJhZjZh5
-----END PRIVATE KEY-----
"""


def wall() -> float:
    """Civil time of both sides."""
    return WALL


def roots() -> bytes:
    """Whom both sides trust, PEM."""
    return _ROOT


@functools.cache
def credential(trusted: bool = True) -> Credential:
    """For localhost, from the root; or from a stranger whom nobody trusts."""
    return Credential(_LEAF, _LEAF_KEY) if trusted else Credential(_STRANGER_LEAF, _STRANGER_KEY)


@functools.cache
def ed25519_credential() -> Credential:
    """For localhost; its signatures are the same at every run."""
    return Credential(_ED25519_LEAF, _ED25519_KEY)


@functools.cache
def wide_credential() -> Credential:
    """A chain whose Certificate message fills several records: the root again and again behind the leaf."""
    return Credential(_LEAF + _ROOT * 50, _LEAF_KEY)


@functools.cache
def server_config(own_wall: bool = True) -> ServerConfig:
    """The engine under test, as a server; with the kit's civil time, where it takes that from its caller."""
    return ServerConfig((credential(),), wall=wall if own_wall else None)


@functools.cache
def client_config(own_wall: bool = True) -> ClientConfig:
    """The engine under test, as a client."""
    return ClientConfig(roots=_ROOT, wall=wall if own_wall else None)


def _load(context: ssl.SSLContext, shown: Credential) -> None:
    # `ssl` reads chains from files only.
    with tempfile.TemporaryDirectory(prefix="mungos-") as folder:
        chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
        chain.write_bytes(shown.chain)
        key.write_bytes(shown.key)
        context.load_cert_chain(chain, key)


def is_cut(error: ssl.SSLError) -> bool:
    """Whether a session of `ssl` died of a stream that ended without close_notify: in some versions of Python
    its class does not say so."""
    return isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING"


@functools.cache
def foreign_context(
    server: bool,
    version: str = "TLSv1.3",
    *,
    shown: Credential | None = None,
    tickets: int = 0,
    alpn: tuple[str, ...] = (),
    wants_certificate: bool = False,
    curve: str = "",
    suites_1_2: str = "",
) -> ssl.SSLContext:
    """A context of the standard library: one version only, no tickets unless they are asked for.

    Args:
        server: the role of the session.
        version: "TLSv1.2" or "TLSv1.3".
        shown: the certificate; None: a server's usual one, and none of a client.
        tickets: how many a server sends.
        alpn: protocols offered or spoken.
        wants_certificate: whether a server demands one of the client.
        curve: the only group that a server takes.
        suites_1_2: cipher suites of TLS 1.2, in OpenSSL's words.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = _TLS_VERSIONS[version]
    # Older Pythons have it on: a stream cut off would look like a clean end.
    context.options &= ~_IGNORE_UNEXPECTED_EOF
    context.load_verify_locations(cadata=_ROOT.decode("ascii"))
    if server:
        context.num_tickets = tickets
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
    if shown is not None or server:
        _load(context, shown or credential())
    if curve:
        context.set_ecdh_curve(curve)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if suites_1_2:
        context.set_ciphers(suites_1_2)
    return context
