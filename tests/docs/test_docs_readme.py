"""The README's programs run against each other, its samples are what is printed, its links lead somewhere."""

from __future__ import annotations

import logging
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mungos import CloseReport, Connection, Manager, Received
from mungos.wires import MemoryNetwork

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
CLOSING = (ROOT / "docs" / "closing.md").read_text("utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WRITTEN_URL = "http://127.0.0.1:8080/"


def blocks(text: str, language: str) -> list[str]:
    """The code of the fenced blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def sample(text: str, name: str) -> list[str]:
    """The lines of a sample of output."""
    [found] = re.findall(rf"<!-- sample: {name} -->\n```text\n(.*?)\n```", text, re.DOTALL)
    assert isinstance(found, str)
    return found.splitlines()


def without_numbers(line: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "N", re.sub(r"\d+(\.\d+){3}:\d+", "ADDRESS", line))


def program(code: str, url: str) -> subprocess.Popen[str]:
    assert code.count(WRITTEN_URL) == 1
    code = code.replace(WRITTEN_URL, url)
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_readme_server_and_client_talk_to_each_other() -> None:
    server_code, client_code = blocks(README, "python")
    with program(server_code, "http://127.0.0.1:0/") as server:
        assert server.stdout is not None
        url = server.stdout.readline().removeprefix("listening at ").strip()
        with program(client_code, url) as client:
            out, error = client.communicate()
        assert (client.returncode, error) == (0, "")
        greeting, closed, report = out.splitlines()
        assert (greeting, closed) == ("Hello, /you", "closed: clean")
        assert report.startswith("closed in ")
        server.send_signal(signal.SIGTERM)
        out, error = server.communicate()
    assert (server.returncode, error) == (0, "")
    assert out.startswith("closed in ")


def test_readme_client_says_that_it_was_not_connected() -> None:
    _, client_code = blocks(README, "python")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens
        with program(client_code, f"http://127.0.0.1:{bound.getsockname()[1]}/") as client:
            out, error = client.communicate()
    assert error == ""
    assert out.startswith("closed: refused: 127.0.0.1:")


@pytest.mark.parametrize("code", blocks(README, "python"), ids=["server", "client"])
def test_readme_programs_have_the_lines_that_they_are_said_to_have(code: str) -> None:
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith(("from ", "import "))]
    assert len(lines) <= 10


def close_with_one_silent_peer() -> CloseReport:
    """Two connections: one peer ends as it should, one never does."""
    network = MemoryNetwork()
    server = Manager(network.wire())
    client = Manager(network.wire())

    def echo(connection: Connection, event: object) -> None:
        if isinstance(event, Received):
            connection.send(event.data)

    def nothing(_connection: Connection, _event: object) -> None:
        """Only there."""

    listener = server.listen("tcp://127.0.0.1:0", echo)
    url = str(listener.url)
    silent, polite = client.connect(url, nothing), client.connect(url, nothing)
    while len(server.connections) < 2:
        client.poll(0)
        server.poll(0)
    polite.close()
    client.poll(0)
    # From here on the client takes no more turns: what its end has not said by now, it never will.
    report = server.close(within=0.25)
    silent.abort()
    client.close()
    return report


@pytest.mark.parametrize("text", [README, CLOSING], ids=["README", "closing"])
def test_readme_report_is_what_is_really_printed(text: str) -> None:
    report = close_with_one_silent_peer()
    assert report.ok
    assert [without_numbers(line) for line in str(report).splitlines()] == [
        without_numbers(line) for line in sample(text, "report")
    ]


def test_docs_last_lines_of_the_log_are_what_is_really_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mungos.manager"):
        Manager(MemoryNetwork().wire()).close()
    assert [record.getMessage() for record in caplog.records][-2:] == sample(CLOSING, "log")


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_docs_links_and_named_files_are_there(path: Path) -> None:
    text = path.read_text("utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    named = re.findall(r"`((?:examples|scripts|docs|tests)/[\w./]+)`", text)
    missing = [link for link in links if not (path.parent / link).exists()]
    missing += [name for name in named if not (ROOT / name).exists()]
    assert missing == []


def test_readme_names_every_command() -> None:
    pytest.importorskip("click")
    from mungos.cli.program import program as command_line

    named = re.findall(r"^\| `mungos (\w+)", README, re.MULTILINE)
    assert named == list(command_line.commands or command_line.list_commands(None))  # type: ignore[arg-type]


def test_readme_names_every_option_of_tls() -> None:
    pytest.importorskip("click")
    from mungos.cli.program import program as command_line

    known = set()
    for name in command_line.list_commands(None):  # type: ignore[arg-type]
        command = command_line.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        known |= {option for parameter in command.params for option in parameter.opts}
    named = re.findall(r"`(--tls-[\w-]+)`", README)
    assert sorted(named) == sorted(option for option in known if option.startswith("--tls-"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_docs_promise_no_speed(path: Path) -> None:
    assert not re.search(r"requests (per|a) second", path.read_text("utf-8"))
