"""The Debian mirror: which one this machine uses, and what of a suite it does not hold."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from mungos.errors import Misuse
from mungos.lab.processors.architectures import Unavailable
from mungos.printable import printable

__all__ = [
    "HINT",
    "MirrorLacks",
    "check_mirror",
    "counted",
    "host_mirror",
    "missing_files",
    "needed_program",
    "without_password",
]

HINT = (
    "choose another mirror with --mirror or MUNGOS_DEBIAN_MIRROR, "
    "another release with `mungos lab arch add --suite`"
)
MOST_NAMED = 8  # files that a message names

# What apt fetches from here; of its URLs, what is printable ASCII, without a query and a fragment.
_MIRROR = re.compile(r"(?:https?://(?=[^/])|(?:file|copy)://(?=/))[!\"$->@-~]+")
_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")

# What apt-get says of a fetch that failed: the URL, and the answer of the server or of the system.
_FETCH = re.compile(r"(?:E|Err|Error): Failed to fetch (?P<url>\S+)\s+(?P<why>.*)")
_NO_RELEASE = re.compile(
    r"(?:E|Error): The repository '(?:\S+ )?(?P<suite>\S+) Release' does not have a Release file\."
)
# "Err:" with the URL of a repository, its suite and "Release"; the answer stands in the next line.
_NOT_RELEASED = re.compile(r"Err:\d+ \S+ (?P<suite>\S+) Release\n\s+(?P<why>.*)")
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
        mirror: its URL; a password in it is not kept.
        architecture: Debian's name.
        lacking: the suites that were tried, and the missing files of each.
    """

    def __init__(self, mirror: str, architecture: str, lacking: Mapping[str, Sequence[str]]) -> None:
        told = "; ".join(f"{counted(files)} of {suite}" for suite, files in lacking.items())
        super().__init__(
            f"the mirror {without_password(mirror)} lacks, for {architecture}, {told}: they are answered "
            f"with 404; {HINT}"
        )
        self.mirror = without_password(mirror)
        self.architecture = architecture
        self.lacking = {suite: tuple(files) for suite, files in lacking.items()}


def check_mirror(url: str) -> None:
    """Raises Misuse for what apt can't fetch from."""
    if _MIRROR.fullmatch(url) is None:
        raise Misuse(
            f"the mirror {printable(without_password(url))[:200]!r} is no URL of a Debian mirror: write "
            "http://host/debian, https://host/debian or file:///folder"
        )


def without_password(text: str) -> str:
    """The text, in which no URL has a user's name or password."""
    return _PASSWORD.sub("...@", text)


def counted(files: Sequence[str]) -> str:
    """How many they are, and the names of the first ones."""
    named = [file.rpartition("/")[2].partition("_")[0] if file.endswith(".deb") else file for file in files]
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return f"{len(files)} file{'s' if len(files) != 1 else ''} ({', '.join(named[:MOST_NAMED])}{more})"


def missing_files(said: str, mirror: str) -> tuple[str, ...]:
    """The files that the mirror does not hold, if that alone is what failed.

    A 404 for a package, for an index, or for the suite itself says so. Any other answer, a redirection that
    leads nowhere, a file of another size or hash than the index says, a server that can't be reached, and
    whatever apt or mmdebstrap complain of besides do not: then nothing is returned.

    Args:
        said: what mmdebstrap printed, in English.
        mirror: the URL that it was given.

    Returns:
        Their places below the mirror's URL, in the order of the complaints; empty when it was something else.
    """
    found: dict[str, None] = {}
    # apt has the same complaint for every way in which the file of a suite did not come.
    answers: dict[str, list[str]] = {}
    for each in _NOT_RELEASED.finditer(said):
        answers.setdefault(each["suite"], []).append(each["why"])
    base = _PASSWORD.sub("", mirror).rstrip("/") + "/"  # apt names it without one
    for line in said.splitlines():
        if no_release := _NO_RELEASE.match(line):
            whys = answers.get(no_release["suite"])
            if not whys or not all(map(_NOT_FOUND.match, whys)):
                return ()
            found[f"dists/{no_release['suite']}/Release"] = None
        elif fetch := _FETCH.match(line):
            if not _NOT_FOUND.match(fetch["why"]):
                return ()
            found[printable(unquote(fetch["url"])).removeprefix(base)] = None
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
