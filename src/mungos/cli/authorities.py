"""Trusted certificates from files and directories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mungos.cli.statuses import NotStarted
from mungos.errors import Malformed, Misuse
from mungos.x509 import certificates_from_pem
from mungos.x509.system_roots import read_roots

__all__ = ["read_authorities"]


def read_authorities(paths: Sequence[Path]) -> bytes | None:
    """The PEM text of all of them together; None when there are no paths.

    Args:
        paths: files with one certificate or many, and directories of which every file is read.

    Raises NotStarted, naming what can't be read, is broken, or holds no certificate.
    """
    texts = []
    for path in paths:
        found = 0
        for file in _files(path):
            try:
                text = read_roots(file)
                found += len(certificates_from_pem(text))
            except OSError as error:
                raise NotStarted(f"can't read {file}: {error.strerror}") from None
            except (Malformed, Misuse) as error:
                raise NotStarted(f"TLS can't be set up: {file}: {error}") from None
            texts.append(text)
        if not found:
            raise NotStarted(f"TLS can't be set up: {path} holds no certificate: PEM is expected")
    return b"\n".join(texts) if texts else None


def _files(path: Path) -> list[Path]:
    try:
        return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    except OSError as error:
        raise NotStarted(f"can't read {path}: {error.strerror}") from None
