"""The tests of the engines over a C library, with Debian 13's libraries: Mbed TLS 3.6 and wolfSSL 5.7.

    python3 scripts/tls_libraries/run_tests.py [ARCHITECTURE [ARGUMENT OF PYTEST ...]]

ARCHITECTURE is amd64 unless it is said; on i386 structures have other sizes, on s390x the other byte order.
The root is built when it is not there, in a cache of its own beside that of the other processors' roots; of
trixie alone, no other release has these libraries. Exit status: that of pytest; 2 when the root can't be
built, 77 when the mirror lacks files of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mungos.cli.statuses import LACKING
from mungos.errors import Misuse
from mungos.lab.processors import MirrorLacks, Unavailable, add_root, platform, wrap

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = PROJECT / "scripts" / "processors" / "packages.txt"
SUITE = "trixie"
LIBRARIES = ["libmbedtls21", "libwolfssl42t64"]
TESTS = ["tests/tls", "tests/tls_foreign", "-k", "mbedtls or wolfssl or foreign"]
TIME_FACTOR = "12"  # for deadlines of tests, where programs are emulated


def main(arguments: list[str]) -> int:
    """Build, run."""
    architecture, *extra = arguments or ["amd64"]
    cache = Path(os.environ.get("MUNGOS_CACHE", PROJECT / ".cache"))
    os.environ["MUNGOS_CACHE"] = str(cache / "tls-libraries")
    lines = PACKAGES.read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    try:
        add_root(
            architecture,
            suite=SUITE,
            mirror=os.environ.get("MUNGOS_DEBIAN_MIRROR") or None,
            include=packages + LIBRARIES,
            say=lambda text: print(text, flush=True),
        )
        emulated = platform(architecture).emulator is not None
    except MirrorLacks as error:
        print(f"run_tests: NOT RUN: {error}", file=sys.stderr)
        return LACKING
    except (Unavailable, Misuse) as error:
        print(f"run_tests: {error}", file=sys.stderr)
        return 2
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT / "src"),
        "MUNGOS_TEST_TIME_FACTOR": TIME_FACTOR if emulated else "2",
        "MUNGOS_HYPOTHESIS_PROFILE": "s390x" if emulated else "default",
        "HYPOTHESIS_STORAGE_DIRECTORY": "/var/cache/hypothesis",
    }
    line = [
        "python3",
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
        "-o",
        "faulthandler_timeout=0",
    ]
    line += [*TESTS, *extra]
    there = list(wrap(architecture, line, str(PROJECT)))
    return subprocess.run(there, env=environment, cwd=PROJECT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
