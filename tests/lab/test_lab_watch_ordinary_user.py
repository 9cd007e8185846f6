"""The same as an ordinary user, with a user namespace; skipped where this process is one anyway."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import mungos
from tests.lab.processor_roots import interpreter_for_everybody

USER = 12345
PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv[1])
from mungos.lab.order import Order
from mungos.lab.watch import run

def show(*command, **options):
    record = run(Order(command, **options))
    attempt = record.attempts[0]
    lines = ",".join(line.text for line in attempt.lines)
    print(record.verdict.value, record.exit_status, attempt.isolation, len(attempt.left), lines, sep="|")

seen = "id -u; echo $$; ls -d /proc/[0-9]* | wc -l; cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '"
show("sh", "-c", seen)
show("sh", "-c", "echo $$", pid1=True)
show("sleep", "1000", stall=0.4)
show("sleep", "1000", stall=0.4, pid1=True, grace=0.1)
show("sh", "-c", "setsid sleep 1000 & exit 0")
show("sh", "-c", "setsid sleep 1000 & exit 0", isolated=False)
print([name for name in os.listdir(os.environ["TMPDIR"]) if name.startswith("mungos-lab")])
"""


@pytest.mark.timeout(60)
@pytest.mark.skipif(os.geteuid() != 0, reason="this is an ordinary user")
def test_an_ordinary_user(tmp_path: Path) -> None:
    source = Path(mungos.__file__).parent.parent
    folder = Path(tempfile.mkdtemp(prefix="mungos-test-", dir="/tmp"))  # pytest's own is for root alone
    os.chown(folder, USER, USER)
    try:
        done = subprocess.run(
            [interpreter_for_everybody(source), "-B", "-c", PROGRAM, str(source)],
            user=USER, group=USER, extra_groups=[], cwd="/",
            env={"PATH": os.environ["PATH"], "TMPDIR": str(folder), "HOME": str(folder)},
            capture_output=True, text=True, check=False, timeout=50,
        )  # fmt: skip
    finally:
        shutil.rmtree(folder)
    first, *rest = done.stdout.splitlines()
    if "none:" in first:
        pytest.skip(f"no user namespaces here: {first}")
    own = "own processes and network"
    verdict, status, isolation, left, lines = first.split("|")
    number, pid, count, network = lines.split(",")
    assert (verdict, status, isolation, left, number, pid, network) == (
        "passed",
        "0",
        own,
        "0",
        str(USER),
        "2",
        "lo",
    )
    assert int(count) <= 6
    assert rest == [
        f"passed|0|{own}|0|1",
        f"stalled|123|{own}|0|",
        f"stalled|123|{own}|0|",
        f"leaked|125|{own}|1|",
        "leaked|125|none: it was not asked for|1|",
        "[]",
    ], done.stderr
