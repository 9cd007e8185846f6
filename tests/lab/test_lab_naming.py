"""Commands in sentences."""

from __future__ import annotations

import pytest

from mungos.lab.naming import brief


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("sleep 100", "sleep 100"),
        ("/usr/bin/sleep 100", "sleep 100"),
        ("./server --once", "./server --once"),
        (
            "/opt/python/3.11/bin/python3.11 /tmp/x/ring.py --out /var/lib/x",
            "python3.11 ring.py --out /var/lib/x",
        ),
        ("/usr/bin/python3 -I -X dev /tmp/x/ring.py", "python3 -I -X dev ring.py"),
        ("python3 /tmp/ring.py", "python3 ring.py"),
        ("/usr/bin/python3 -c 'print(1)' /etc/passwd", "python3 -c 'print(1)' /etc/passwd"),
        ("/bin/sh -ec '/a/b/c'", "sh -ec '/a/b/c'"),
        ("/usr/bin/python3 -m pytest /tmp/x", "python3 -m pytest /tmp/x"),
        ("/usr/bin/cat /tmp/a/b", "cat /tmp/a/b"),
        ("'/usr/bin/cat' x", "cat x"),
        ("'/my tools/cat' x", "'/my tools/cat' x"),
        ("[kworker/0]", "[kworker/0]"),
        ("the lab", "the lab"),
        ("/", "/"),
        ("", ""),
        ("a\n b", "a b"),
    ],
)
def test_folders_of_programs_and_scripts_are_left_out(command: str, shown: str) -> None:
    assert brief(command) == shown


def test_a_long_one_is_cut() -> None:
    assert brief("/usr/bin/echo " + "x" * 100, 20) == "echo xxxxxxxxxxxxxx…"
