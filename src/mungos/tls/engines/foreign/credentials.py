"""The choice among a server's credentials."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from mungos.errors import Malformed, Misuse
from mungos.tls.config import Credential
from mungos.tls.engines.foreign.certificate_names import covers, dns_names
from mungos.x509 import certificates_from_pem

__all__ = ["check_places", "choose", "names_of"]

T = TypeVar("T")


_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")


def check_places(credential: Credential) -> None:
    """Raises Misuse where the chain holds no certificate, or the key no unencrypted private key: for a
    library that would look for both in either."""
    try:
        found = certificates_from_pem(credential.chain)
    except Malformed as error:
        raise Misuse(f"credential: the chain can't be read: {error}") from error
    if not found:
        raise Misuse("credential: the chain holds no certificate: PEM, leaf first; the key is given apart")
    if _KEY.search(credential.key) is None:
        raise Misuse("credential: the key holds no private key: PEM, unencrypted; the chain is given apart")


def names_of(credential: Credential) -> tuple[str, ...]:
    """The DNS names of the leaf, in lower case; none where it can't be read."""
    try:
        certificates = certificates_from_pem(credential.chain)
    except Malformed:
        return ()
    return dns_names(certificates[0]) if certificates else ()


def choose(server_name: str | None, made: Sequence[T], names: Sequence[tuple[str, ...]]) -> T:
    """Of what was made for each credential, the first whose names cover `server_name` (lower case), else the
    first (RFC 6066 section 3)."""
    if server_name is not None and len(made) > 1:
        name = server_name.rstrip(".")
        for each, patterns in zip(made, names, strict=True):
            if any(covers(pattern, name) for pattern in patterns):
                return each
    return made[0]
