"""The Debian mirror: which one this machine uses, and what of a suite it does not hold."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from mungos.lab.processors.architectures import Unavailable
from mungos.printable import printable

__all__ = ["HINT", "MirrorLacks", "counted", "host_mirror", "missing_files", "needed_program"]

HINT = (
    "choose another mirror with --mirror or MUNGOS_DEBIAN_MIRROR, "
    "another release with `mungos lab arch add --suite`"
)
MOST_NAMED = 8  # files that a message names

# What apt-get says of a fetch that failed: the URL, and the answer of the server or of the system.
_FETCH = re.compile(r"(?:E|Err|Error): Failed to fetch (?P<url>\S+)\s+(?P<why>.*)")
_NO_RELEASE = re.compile(
    r"(?:E|Error): The repository '(?:\S+ )?(?P<suite>\S+) Release' does not have a Release file\."
)
_NOT_FOUND = re.compile(r"404\b")
_ERROR = re.compile(r"(?:E|Error): ")
# What stands beside them, by apt-get and then by mmdebstrap, and says nothing new.
_CONSEQUENCE = re.compile(
    r"(?:E|Error): (?:Unable to fetch some archives, |Some index files failed to download\."
    r"|(?:(?:setup|apt download) failed: )*(?:E: )?apt-get .* failed$|mmdebstrap failed to run$)"
)


class MirrorLacks(Unavailable):
    """The mirror answers, and does not hold files of any suite that was asked for.

    Args:
        mirror: its URL.
        architecture: Debian's name.
        lacking: the suites that were tried, and the missing files of each.
    """

    def __init__(self, mirror: str, architecture: str, lacking: Mapping[str, Sequence[str]]) -> None:
        told = "; ".join(f"{counted(files)} of {suite}" for suite, files in lacking.items())
        super().__init__(
            f"the mirror {mirror} lacks, for {architecture}, {told}: they are answered with 404; {HINT}"
        )
        self.mirror = mirror
        self.architecture = architecture
        self.lacking = {suite: tuple(files) for suite, files in lacking.items()}


def counted(files: Sequence[str]) -> str:
    """How many they are, and the names of the first ones."""
    named = [file.rpartition("/")[2].partition("_")[0] if file.endswith(".deb") else file for file in files]
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return f"{len(files)} file{'s' if len(files) != 1 else ''} ({', '.join(named[:MOST_NAMED])}{more})"


def missing_files(said: str, mirror: str) -> tuple[str, ...]:
    """The files that the mirror does not hold, if that alone is what failed.

    A 404 for a package, for an index, or for the suite itself says so. Any other answer, a file of another
    size or hash than the index says, a server that can't be reached, and whatever apt or mmdebstrap
    complain of besides do not: then nothing is returned.

    Args:
        said: what mmdebstrap printed, in English.
        mirror: the URL that it was given.

    Returns:
        Their places below the mirror's URL, in the order of the complaints; empty when it was something else.
    """
    found: dict[str, None] = {}
    for line in said.splitlines():
        if no_release := _NO_RELEASE.match(line):
            found[f"dists/{no_release['suite']}/Release"] = None
        elif fetch := _FETCH.match(line):
            if not _NOT_FOUND.match(fetch["why"]):
                return ()
            found[printable(unquote(fetch["url"])).removeprefix(mirror.rstrip("/") + "/")] = None
        elif _ERROR.match(line) and not _CONSEQUENCE.match(line):
            return ()
    return tuple(found)


def needed_program(name: str, package: str) -> str:
    """Its path. Raises Unavailable, which names the Debian package, when there is none."""
    found = shutil.which(
        name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    )
    if found is None:
        raise Unavailable(f"{name} is missing: install the Debian package {package}")
    return found


def host_mirror() -> str:
    """The Debian mirror that this machine's own apt sources name first. Raises Unavailable if none."""
    apt = needed_program("apt-get", "apt")
    asked = [apt, "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Origin: Debian"]
    listed = subprocess.run(  # noqa: S603 - apt itself
        asked, capture_output=True, text=True, check=False, timeout=60
    )
    for line in listed.stdout.splitlines():
        if line.strip():
            return line.strip()
    raise Unavailable("no Debian mirror in the apt sources of this machine: name one with --mirror")
