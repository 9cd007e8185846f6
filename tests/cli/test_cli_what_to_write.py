"""Messages that say what to write, and options that are used or refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

import mungos as library
from mungos import CloseKind, CloseReason
from mungos.cli.explaining import explain
from mungos.cli.program import run
from mungos.errors import ProtocolError
from mungos.url import parse
from mungos.x509 import BadCertificate
from tests.cli.programs import mungos, server
from tests.lab.processor_roots import interpreter_for_everybody

SOMEBODY = 12345
KEY = "00112233445566778899aabbccddeeff"
LISTEN = ("serve", ".", "--listen", "https://127.0.0.1:0")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get", "example.org"), "has no scheme: write http://host/ or https://host/\n"),
        (("get", "ftp://x/"), "is not known: write http, https\n"),
        (("ws", "x"), "has no scheme: write ws://host/ or wss://host/\n"),
        (("ws", "ftp://x/"), "is not known: write ws, wss\n"),
        (("connect", "x"), "has no scheme: write tcp://host:port or tls://host:port\n"),
        (("serve", ".", "--listen", "x"), "has no scheme: write http://host/ or https://host/\n"),
        (("serve", ".", "--listen", "tcpp://x"), "is not known: write http, https, unix\n"),
        (("get", "http://::1:80/"), "in brackets: http://[::1]:80\n"),
        (("get", "http://2001:db8::1:8080/x"), "in brackets: http://[2001:db8::1]:8080\n"),
        (("get", "http://::1/"), "in brackets: http://[::1]\n"),
        (("get", "http://2001:db8:1:2:3:4:5:6/"), "in brackets: http://[2001:db8:1:2:3:4:5:6]\n"),
        (("get", "http://fe80::1:99999/"), "in brackets: http://[fe80::1]:99999\n"),
        (("connect", "tcp://2001:db8::"), "in brackets: tcp://[2001:db8::]:port\n"),
        (("get", "http://" + "1:" * 300), "in brackets: http://[" + "1:" * 30 + "]\n"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_urls_are_told_by_what_the_command_speaks(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(list(arguments)) == 2
    assert capsys.readouterr().err.endswith(says)


@pytest.mark.parametrize("command", [("get", "https://127.0.0.1:1/"), LISTEN], ids=["get", "serve"])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("lamp", "there is no colon"),
        ("lamp:", "there is no key behind it"),
        ("lamp:zz", "is hexadecimal: 0 to 9 and a to f"),
        ("lamp:zz:sha256", "is hexadecimal: 0 to 9 and a to f"),
        (f"lamp:{KEY}0", "two digits for each byte, not 33"),
        (f"lamp:{KEY}:md5", "is :sha256 or :sha384"),
        (f"a:{KEY}:SHA384", "is :sha256 or :sha384"),
        (f"urn:lamp:{KEY}zz", "is hexadecimal"),
    ],
)
def test_what_is_wrong_with_a_pre_shared_key_is_told_without_it(
    command: tuple[str, ...], value: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--tls-psk", value]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert KEY[:8] not in told


@pytest.mark.parametrize("command", ["get", "ws"])
def test_tls_port_that_is_spoken_to_in_plain_text_is_told(command: str) -> None:
    said = []

    def answer(listening: socket.socket) -> None:
        accepted, _ = listening.accept()
        with accepted:
            said.append(accepted.recv(1000))
            accepted.sendall(bytes.fromhex("15030300020246"))  # a fatal alert, protocol_version

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=answer, args=(listening,))
        thread.start()
        scheme = {"get": "http", "ws": "ws"}[command]
        address = f"127.0.0.1:{listening.getsockname()[1]}/x?y"
        done = mungos(command, f"{scheme}://{address}")
        thread.join()
    assert done.returncode == 1
    assert f"(the peer speaks TLS there: write {scheme}s://{address})" in done.stderr.decode()


def test_no_version_in_common_blames_nobody() -> None:
    text = "the peer ended the session with the alert protocol_version (70)"
    reason = CloseReason(CloseKind.TLS_ALERT, "securing", error=ProtocolError(text))
    told = explain(parse("https://127.0.0.1:1/"), reason)
    assert told.endswith("(no version of TLS in common: --tls-engine openssl speaks 1.2 and 1.3)")


def test_certificate_of_an_issuer_says_how_it_is_made_right() -> None:
    error = BadCertificate("certificate 0 (CN=x) is an issuer's, shown as the peer's own")
    reason = CloseReason(CloseKind.TLS_ALERT, "securing", error=error)
    assert "basicConstraints=critical,CA:FALSE" in explain(parse("https://127.0.0.1:1/"), reason)


def test_provider_without_private_keys_names_the_one_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*LISTEN, "--tls-provider", "pure"]) == 3
    told = capsys.readouterr().err
    assert "--tls-provider pure loads no private key: pure-with-private-keys does" in told
    assert "private_keys=True" not in told


@pytest.mark.parametrize("command", [("serve", "."), ("echo",)], ids=["serve", "echo"])
@pytest.mark.parametrize("options", [("-q", "-v"), ("-vv", "--quiet")])
def test_quiet_and_verbose_contradict_each_other(
    command: tuple[str, ...], options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--listen", "http://127.0.0.1:0", *options]) == 2
    assert "--quiet and --verbose contradict each other" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "http://127.0.0.1:1/", "-o"),
        ("get", "https://127.0.0.1:1/", "--tls-keylog"),
        (*LISTEN, "--save-cert"),
        ("lab", "run", "--json"),
        ("lab", "run", "--html"),
        ("lab", "run", "--junit"),
        ("lab", "run", "--history"),
        ("lab", "history", "--history"),
        ("lab", "report", __file__, "--html"),
        ("lab", "report", __file__, "--junit"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(("name", "says"), [("", "is empty"), ("-", "write ./- for one of that name")])
def test_names_that_are_no_file_are_refused(
    arguments: tuple[str, ...], name: str, says: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    rest = ("true",) if arguments[:2] == ("lab", "run") else ()
    assert run([*arguments, name, *rest]) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get", "http://127.0.0.1:1/", "--tls-engine", "openssl"), "is plain text"),
        (("ws", "ws://127.0.0.1:1/", "--tls-engine", "builtin"), "is plain text"),
        (("serve", ".", "--listen", "http://127.0.0.1:0", "--tls-engine", "openssl"), "are of no use here"),
        (("echo", "--listen", "tcp://127.0.0.1:0", "--tls-engine", "openssl"), "are of no use here"),
        (("connect", "tcp://127.0.0.1:1", "--wait", "1"), "--wait is for udp, ws and wss"),
        (("connect", "tls://127.0.0.1:1", "--wait", "1"), "--wait is for udp, ws and wss"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_of_no_use_are_refused(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(list(arguments)) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--network", "private", "--no-isolation"), "--network private needs a namespace of its own"),
        (("--history", "/dev/null"), "the history /dev/null can't be written: it is no file"),
    ],
)
def test_lab_run_refuses_before_it_runs(options: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = mungos("lab", "run", *options, "touch", tmp_path / "ran")
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert says in done.stderr.decode()


@pytest.mark.parametrize("options", [(), ("--network", "host")])
def test_lab_run_without_isolation_has_the_network_of_the_machine(options: tuple[str, ...]) -> None:
    assert mungos("lab", "run", "--no-history", "--no-isolation", *options, "true").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="a folder that is closed to us is another user's")
@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("get", "http://127.0.0.1:1/", "-o", "{}/x"), 3, "can't write {}/x: Permission denied"),
        (("serve", "{}/x"), 3, "can't read {}/x: Permission denied"),
        (("get", "http://127.0.0.1:1/", "-d", "@{}/x"), 3, "can't read {}/x: Permission denied"),
        (("get", "https://127.0.0.1:1/", "--tls-ca", "{}/x"), 3, "can't read {}/x: Permission denied"),
        (("get", "https://127.0.0.1:1/", "--tls-keylog", "{}/x"), 3, "can't write {}/x: Permission denied"),
        (("lab", "report", "{}/x"), 2, "{}/x"),
        (("lab", "history", "--history", "{}/x"), 1, "{}/x"),
        (
            ("lab", "run", "--no-history", "--json", "{}/x", "true"),
            2,
            "{}/x can't be written: Permission denied",
        ),
        (("lab", "run", "--history", "{}/x", "true"), 2, "{}/x can't be written: Permission denied"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_file_in_a_folder_that_is_closed_to_us_is_told_in_a_line(
    arguments: tuple[str, ...], status: int, says: str, tmp_path: Path
) -> None:
    pytest.importorskip("click")
    source = Path(library.__file__).parent.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    python = interpreter_for_everybody(source)
    packages = [path for path in sys.path if path.endswith("-packages")]
    places = os.pathsep.join([str(source), *packages])
    done = subprocess.run(
        [python, "-B", "-m", "mungos", *(word.format(closed) for word in arguments)],
        user=SOMEBODY, group=SOMEBODY, extra_groups=[], cwd="/", capture_output=True, text=True,
        timeout=9, check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere", "PYTHONPATH": places},
    )  # fmt: skip
    if "No module named" in done.stderr:
        pytest.skip("another user can't read what the command line needs")
    assert "Traceback" not in done.stderr
    assert done.returncode == status, done.stderr
    assert says.format(closed) in done.stderr


def test_a_server_that_wants_a_key_says_what_may_be_missing(tmp_path: Path) -> None:
    with server("serve", tmp_path, "--listen", "https://127.0.0.1:0", "--tls-psk", f"lamp:{KEY}") as serving:
        done = mungos("get", serving.url("https"), "--insecure")
    assert done.returncode == 1
    assert b"--tls-psk" in done.stderr
