"""Where this system keeps its roots. The only module here that reads files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from mungos.errors import Misuse
from mungos.x509.pem import MAX_TEXT
from mungos.x509.trust_store import TrustStore

__all__ = ["read_roots", "system_trust_store"]

_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # older RHEL
    "/var/lib/ca-certificates/ca-bundle.pem",  # openSUSE
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",  # Alpine, macOS, the BSDs
    "/usr/local/etc/ssl/cert.pem",  # FreeBSD
)
_DIRECTORIES = ("/etc/ssl/certs", "/system/etc/security/cacerts")
_MAX_FILES = 10_000


def read_roots(path: str | Path) -> bytes:
    """The PEM text of a file, or of all the files right inside a directory.

    Raises OSError naming what can't be read, Misuse when it is over the limit of `mungos.x509.pem.MAX_TEXT`.
    """
    path = Path(path)
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    if len(files) > _MAX_FILES:
        raise Misuse(f"{path} has {len(files)} files (limit {_MAX_FILES})")
    texts: list[bytes] = []
    total = 0
    for file in files:
        with file.open("rb") as opened:
            texts.append(opened.read(MAX_TEXT + 1 - total))
        total += len(texts[-1])
        if total > MAX_TEXT:
            raise Misuse(f"the roots in {path} are over the limit of {MAX_TEXT} bytes")
    return b"\n".join(texts)


def find_roots(environment: Mapping[str, str]) -> TrustStore:
    """The first place that holds roots: SSL_CERT_FILE and SSL_CERT_DIR as OpenSSL reads them (when one of
    them is set, no other place is), then where systems keep them.

    Raises Misuse, naming the places looked at, when none does.
    """
    asked = [environment[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environment.get(name)]
    places = asked or [*_FILES, *_DIRECTORIES]
    for place in places:
        if not Path(place).exists():
            continue
        try:
            return TrustStore.from_pem(read_roots(place), tolerant=True)
        except (OSError, Misuse):
            # Asked for by name, a place that does not serve is an error; else the next one may.
            if asked:
                raise
    raise Misuse(f"no trusted roots in any of {', '.join(places)}: install ca-certificates, or give roots")


@cache
def system_trust_store() -> TrustStore:
    """The system's roots, read once per process.

    Raises Misuse, naming the places looked at, when there are none; OSError when the place that SSL_CERT_FILE
    or SSL_CERT_DIR names can't be read.
    """
    return find_roots(os.environ)
