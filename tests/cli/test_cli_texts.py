"""What the command line says about itself, and about wrong usage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mungos import __version__
from mungos.cli.program import run
from mungos.cli.sizes import parse_size
from mungos.cli.standard_streams import MAX_LINE, Lines
from tests.cli.programs import mungos

COMMANDS = ("serve", "echo", "get", "ws", "connect", "engines")


def test_version() -> None:
    done = mungos("--version")
    assert done.returncode == 0
    assert __version__ in done.stdout.decode()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr()
    assert all(f"\n  {name} " in text.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_has_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    text, _, after = capsys.readouterr().out.partition("\n  Examples:\n")
    assert f"\n    mungos {name}" in "\n" + after
    if name != "engines":
        assert "Exit status:" in after
    assert "--help" in text


def test_missing_click_says_what_to_install(tmp_path: Path) -> None:
    program = tmp_path / "without.py"
    program.write_text(
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'click' else find(name, *rest)\n"
        "from mungos.cli.main import main\nmain()\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, program], capture_output=True, timeout=9, check=False)
    assert done.returncode == 2
    assert b"needs click: pip install 'mungos[cli]'" in done.stderr


def test_engines_lists_openssl_with_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["engines"]) == 0
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.lstrip().startswith("openssl"))
    assert "yes" in row
    assert "OpenSSL" in row


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command"),
        (["get"], "Missing argument"),
        (["get", "example.org"], "has no scheme"),
        (["get", "ws://127.0.0.1/"], "mungos ws"),
        (["get", "http://127.0.0.1/", "--cacert", "x.pem"], "plain text"),
        (["get", "https://127.0.0.1/", "--tls-engine", "quantum"], "known are auto, "),
        (["get", "https://127.0.0.1/", "--tls-cert", "x.pem"], "belong together"),
        (["get", "http://127.0.0.1/", "-H", "no colon"], "Name: value"),
        (["get", "http://127.0.0.1/", "-H", "bad name: x"], "name"),
        (["get", "http://127.0.0.1/", "-X", "GE T"], "write a method"),
        (["get", "http://127.0.0.1/", "--within", "soon"], "seconds"),
        (["connect", "http://127.0.0.1/"], "mungos get"),
        (["ws", "http://127.0.0.1/"], "ws, wss"),
        (["ws", "ws://127.0.0.1/", "--origin", "a\nb"], "rigin"),
        (["serve", "/nowhere/at/all"], "no directory"),
        (["serve", ".", "--listen", "tcp://127.0.0.1:0"], "http, https, unix"),
        (["serve", ".", "--listen", "http://127.0.0.1:0", "--save-cert", "x"], "of no use"),
        (["serve", ".", "--listen", "https://127.0.0.1:0", "--tls-engine", "quantum"], "known are auto, "),
        (["echo"], "--listen"),
        (["echo", "--listen", "tcp://127.0.0.1"], "has no port"),
        (["echo", "--listen", "tcp://127.0.0.1:0", "--max-message", "many"], "64k"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_exits_with_2_and_says_what_to_write(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["get", "https://127.0.0.1/", "--cacert", "/nowhere/ca.pem"],
            "can't read /nowhere/ca.pem: No such file",
        ),
        (["get", "https://127.0.0.1/", "--cacert", os.devnull], "TLS can't be set up"),
        (["get", "http://127.0.0.1/", "-d", "@/nowhere/data"], "can't read /nowhere/data"),
        (["get", "http://127.0.0.1/", "-o", "/nowhere/out"], "can't write /nowhere/out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_start_exits_with_3(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 3
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("65536", 65536), ("64k", 65536), ("16M", 16 * 1024**2), ("1GiB", 1024**3), ("2 kB", 2048)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5M", "M", "1T", "1e6", "٣"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="write 65536, 64k, 16M or 1G"):
        parse_size(text)


@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_lines_come_out_whatever_the_pieces(step: int) -> None:
    data = b"one\n\ntwo\r\nlast"
    lines = Lines()
    found = [line for at in range(0, len(data), step) for line in lines.feed(data[at : at + step])]
    assert [*found, *lines.feed(b"")] == [b"one", b"", b"two\r", b"last"]
    assert lines.feed(b"") == []


def test_line_that_is_too_long() -> None:
    lines = Lines()
    lines.feed(b"x" * MAX_LINE)
    with pytest.raises(ValueError, match=f"the limit is {MAX_LINE} bytes"):
        lines.feed(b"x")
