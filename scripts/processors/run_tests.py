"""The project's own tests, an exchange with a native openssl, and the main job, on another processor.

    python3 scripts/processors/run_tests.py ARCHITECTURE [ARGUMENT OF PYTEST ...]

The root is built when it is not there: of Debian's newest release, or of the next older one where the mirror
lacks files (404). What can't run in it stands in left_out.toml, with its reason, and is named before the rest
runs. Exit status: 0 when all went well, else that of the first thing that did not; 2 when the root can't be
built or used; 77 when the mirror lacks files of every release, so that nothing was run. Through `make` each
of these is 2.

Environment:
    MUNGOS_DEBIAN_MIRROR: URL of the mirror, instead of that of this machine's own apt.
    MUNGOS_SUMMARY: a file to which the last lines, one for the root and one for each step, are added.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mungos.cli.statuses import LACKING
from mungos.errors import Misuse
from mungos.lab.processors import MirrorLacks, Unavailable, add_root, platform, wrap
from mungos.tls import all_engines

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
LEFT_OUT = HERE / "left_out.toml"
PACKAGES = HERE / "packages.txt"
PROCESSES = 2
PROCESSES_EMULATED = 3  # they wait for each other and for clocks more than natively
# Debian bookworm's are too old; these are the same on every processor.
NEWER_PACKAGES = {"bookworm": ("hypothesis>=6.100", "trustme>=1.1")}
TIME_FACTOR = 12.0  # for deadlines of tests, where programs are emulated


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Tests that can't run in a root.

    Args:
        tests: files, folders (with * for any) or single tests.
        programs: foreign programs; tests that are marked for them are left out.
        engines: TLS engines; tests that name one of them in a parameter are left out.
        processors: where it holds; empty for everywhere.
        suites: the Debian releases of roots in which it holds; empty for all.
        reason: why.
    """

    tests: tuple[str, ...]
    programs: tuple[str, ...]
    engines: tuple[str, ...]
    processors: tuple[str, ...]
    suites: tuple[str, ...]
    reason: str


def left_out(architecture: str, suite: str, path: Path = LEFT_OUT) -> list[LeftOut]:
    """What can't run there, in a root of this Debian release, and why."""
    with path.open("rb") as file:
        entries = tomllib.load(file)["left_out"]
    read = [
        LeftOut(
            tuple(entry.get("tests", ())),
            tuple(entry.get("programs", ())),
            tuple(entry.get("engines", ())),
            tuple(entry.get("processors", ())),
            tuple(entry.get("suites", ())),
            entry["reason"],
        )
        for entry in entries
    ]
    return [
        entry
        for entry in read
        if (not entry.processors or architecture in entry.processors)
        and (not entry.suites or suite in entry.suites)
    ]


def packages() -> list[str]:
    """The Debian packages of the root."""
    lines = PACKAGES.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def present_programs(path: Path = LEFT_OUT) -> str:
    """The foreign programs that are in the root, for MUNGOS_FOREIGN_PROGRAMS."""
    with path.open("rb") as file:
        return ",".join(tomllib.load(file)["present_programs"])


def newer_packages(suite: str) -> list[Path]:
    """Folders with what Debian has too old, from the index that pip uses."""
    wanted = NEWER_PACKAGES.get(suite, ())
    folder = PROJECT / ".cache" / f"python-{suite}"
    if wanted and not folder.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        pure = ["--no-deps", "--only-binary=:all:", "--platform=any", "--target", str(folder)]
        subprocess.run([*pip, *pure, *wanted], check=True)
    return [folder] if wanted else []


def settings(emulated: bool, entries: Sequence[LeftOut], packages: Sequence[Path] = ()) -> dict[str, str]:
    """Environment of the tests there; `packages` are folders that are searched first."""
    absent = {name for entry in entries for name in entry.engines}
    engines = [each.name for each in all_engines() if each.name not in absent]
    factor, profile = (f"{TIME_FACTOR:g}", "s390x") if emulated else ("2", "default")
    asked = os.environ
    return {
        "PYTHONPATH": os.pathsep.join(map(str, [PROJECT / "src", *packages])),
        "MUNGOS_TEST_TIME_FACTOR": asked.get("MUNGOS_TEST_TIME_FACTOR", factor),
        "MUNGOS_HYPOTHESIS_PROFILE": asked.get("MUNGOS_ROOT_PROFILE", profile),
        "MUNGOS_FOREIGN_PROGRAMS": present_programs(),
        "MUNGOS_TEST_ENGINES": asked.get("MUNGOS_TEST_ENGINES", ",".join(engines)),
        "HYPOTHESIS_STORAGE_DIRECTORY": "/var/cache/hypothesis",
    }


def step(name: str, line: list[str], environment: dict[str, str]) -> int:
    """One program; its status."""
    print(f"==> {name}", flush=True)
    start = time.monotonic()
    status = subprocess.run(line, env=environment, cwd=PROJECT, check=False).returncode
    print(f"<== {name}: status {status} after {time.monotonic() - start:.0f} s", flush=True)
    return status


def tell(lines: Sequence[str]) -> None:
    """The last lines, also for who summarises several runs."""
    for line in lines:
        print(f"summary: {line}", flush=True)
    if kept := os.environ.get("MUNGOS_SUMMARY"):
        with open(kept, "a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)


def main(arguments: list[str]) -> int:
    """Build, say what is left out, run."""
    if not arguments:
        print((__doc__ or "").partition("\n\n")[2], file=sys.stderr)
        return 2
    architecture, *extra = arguments
    os.environ.setdefault("MUNGOS_CACHE", str(PROJECT / ".cache"))
    try:
        root = add_root(
            architecture,
            mirror=os.environ.get("MUNGOS_DEBIAN_MIRROR") or None,
            include=packages(),
            say=lambda text: print(text, flush=True),
        )
        where = platform(architecture)
    except MirrorLacks as error:
        day = datetime.now(UTC).date().isoformat()
        tell([f"{architecture}: NOT RUN on {day}: {error}"])
        return LACKING
    except (Unavailable, Misuse) as error:
        print(f"run_tests: {error}", file=sys.stderr)
        return 2
    print(f"{root.path}: {where}", flush=True)
    chosen: list[str] = []
    entries = left_out(architecture, root.suite)
    for entry in entries:
        names = [*entry.tests, *(f"tests of {name}" for name in (*entry.programs, *entry.engines))]
        print(f"left out: {', '.join(names)}: {entry.reason}", flush=True)
        for path in entry.tests:
            chosen += [f"--deselect={path}"] if "::" in path else [f"--ignore-glob={PROJECT / path}"]
    environment = {**os.environ, **settings(where.emulator is not None, entries, newer_packages(root.suite))}

    def there(*command: str) -> list[str]:
        return list(wrap(architecture, command, str(PROJECT)))

    # Debian bookworm's pytest-xdist has no better way to share than the default.
    sharing = ["--dist", "worksteal"] if root.suite != "bookworm" else []
    pytest = [
        "python3",
        "-m",
        "pytest",
        "-n",
        str(PROCESSES_EMULATED if where.emulator else PROCESSES),
        "-p",
        "no:cacheprovider",
        "-o",
        "faulthandler_timeout=0",
    ]
    statuses = {
        "tests": step("tests", there(*pytest, "--durations=15", *sharing, *chosen, *extra), environment),
        # Two ends of one make agree with each other: the peer here is the machine's own openssl.
        "native openssl": step(
            "native openssl",
            [
                sys.executable,
                str(HERE / "native_openssl.py"),
                architecture,
                "--engine=openssl",
                "--engine=builtin",
            ],
            environment,
        ),
        "demo": step("demo", there("python3", "-m", "mungos", "demo", "--budget", "300"), environment),
    }
    tell(
        [
            f"{architecture} on Debian {root.suite} {root.instead}".rstrip(),
            *(
                f"{name}: {f'FAILED with status {status}' if status else 'passed'}"
                for name, status in statuses.items()
            ),
        ]
    )
    failed = next((status for status in statuses.values() if status), 0)
    return 1 if failed == LACKING else failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
