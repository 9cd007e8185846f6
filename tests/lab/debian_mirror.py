"""A Debian mirror of a few empty packages, served by `mungos serve`: real apt takes it for one."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mungos.lab.processors import building
from tests.cli.programs import server

VERSION = "1+deb~1"  # its letters are escaped in URLs
# apt refuses what nobody has signed. Nor does it try again here: a server that is not there stays so.
UNSIGNED = (
    'Acquire::AllowInsecureRepositories "1"',
    'APT::Get::AllowUnauthenticated "1"',
    'Acquire::Retries "0"',
)


class Mirror:
    """The folder of a mirror.

    Args:
        folder: where it is made.
        architecture: Debian's name; the packages are for it.
        suites: the releases that it holds; each has packages of its own.
        packages: their names.
    """

    def __init__(
        self,
        folder: Path,
        architecture: str,
        suites: Sequence[str],
        packages: Sequence[str] = building.ALWAYS,
    ) -> None:
        self.folder = folder
        self.architecture = architecture
        for suite in suites:
            for package in packages:
                self._build(suite, package)
            self._index(suite, packages)

    def file(self, suite: str, package: str) -> Path:
        """Where a package is."""
        return self.folder / f"pool/{suite}/{package}_{VERSION}_{self.architecture}.deb"

    def index(self, suite: str) -> Path:
        """The index of a release's packages."""
        return self.folder / f"dists/{suite}/main/binary-{self.architecture}/Packages"

    def release(self, suite: str) -> Path:
        """The file that a release begins with."""
        return self.folder / f"dists/{suite}/Release"

    @contextmanager
    def served(self) -> Iterator[str]:
        """Its URL, while it can be asked."""
        with server("serve", self.folder, "--listen", "http://127.0.0.1:0", "--quiet") as process:
            yield process.url("http").rstrip("/")

    def _control(self, suite: str, package: str) -> str:
        return (
            f"Package: {package}\nVersion: {VERSION}\nArchitecture: {self.architecture}\n"
            f"Maintainer: Nobody <nobody@example.org>\nDescription: of {suite}, empty\n"
        )

    def _build(self, suite: str, package: str) -> None:
        file = self.file(suite, package)
        file.parent.mkdir(parents=True, exist_ok=True)
        parts = {
            "debian-binary": b"2.0\n",
            "control.tar": _tar({"control": self._control(suite, package)}),
            # A group that is not that of who unpacks it.
            "data.tar": _tar({f"usr/{package}": suite}, group=50),
        }
        # ar(5): a head of 60 bytes for each part, which begins at an even place.
        file.write_bytes(
            b"!<arch>\n"
            + b"".join(
                f"{name:<16}{0:<12}{0:<6}{0:<6}{0o100644:<8o}{len(part):<10}`\n".encode()
                + part
                + b"\n" * (len(part) % 2)
                for name, part in parts.items()
            )
        )

    def _index(self, suite: str, packages: Sequence[str]) -> None:
        entries = []
        for package in packages:
            file = self.file(suite, package)
            held = file.read_bytes()
            place = file.relative_to(self.folder)
            entries.append(
                f"{self._control(suite, package)}Filename: {place}\nSize: {len(held)}\n"
                f"SHA256: {hashlib.sha256(held).hexdigest()}\n"
            )
        index = self.index(suite)
        index.parent.mkdir(parents=True)
        index.write_text("\n".join(entries))
        held = index.read_bytes()
        self.release(suite).write_text(
            f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\nArchitectures: {self.architecture}\n"
            f"Components: main\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n"
            f" {hashlib.sha256(held).hexdigest()} {len(held)} "
            f"{index.relative_to(self.release(suite).parent)}\n"
        )


def _tar(files: Mapping[str, str], group: int = 0) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            about = tarfile.TarInfo(f"./{name}")
            about.size, about.gid = len(text), group
            archive.addfile(about, io.BytesIO(text.encode()))
    return packed.getvalue()


def unsigned_bootstrap(folder: Path, log: Path) -> None:
    """Put a program into `folder` that runs the real mmdebstrap, with what an unsigned mirror wants.

    Args:
        folder: to be the first of PATH.
        log: a file that gets a line for each run: the suite.
    """
    real = shutil.which("mmdebstrap")
    assert real is not None
    options = " ".join(f"'--aptopt={option}'" for option in UNSIGNED)
    folder.mkdir()
    program = folder / "mmdebstrap"
    # The suite is the last but two of the words.
    program.write_text(
        f'#!/bin/bash\necho "${{@: -3:1}}" >> {log}\nexec {real} "$@" {options}\n',
    )
    program.chmod(0o755)
