"""Programs that tell of themselves: Mungos programs by SIGURG, others in Python by SIGUSR1; and py-spy."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mungos.core import Manager
from mungos.core.account import compose
from mungos.lab.autopsy import examination
from mungos.lab.autopsy.python_stacks import from_faulthandler, from_py_spy
from mungos.lab.facts import MungosFacts, Process
from tests.lab.autopsy_programs import autopsy, only, python

pytestmark = pytest.mark.timeout(60)

SERVER = """
import sys, threading, time
from mungos.core import Manager, Opened

def on_event(connection, event):
    if isinstance(event, Opened) and connection.is_client:
        AT_OPENED

def serve():
    manager = Manager()
    listener = manager.listen("tcp://127.0.0.1:0", lambda connection, event: None)
    manager.connect(str(listener.url), on_event)
    manager.call_later(500, print)
    manager.run(signals=())
"""
SAY = "print('ready', flush=True)"


def environment(folder: Path) -> Mapping[str, str]:
    return {**os.environ, "MUNGOS_LAB": str(folder)}


def told(process: Process) -> MungosFacts:
    assert process.mungos is not None, process.missing
    return process.mungos


def check_server(facts: MungosFacts) -> None:
    assert facts.managers == 1
    kinds = sorted(line.partition(":")[0] for line in facts.ledger)
    assert kinds == ["descriptor", "descriptor", "descriptor", "timer"]
    assert all("made at <string>:" in line and " s old" in line for line in facts.ledger)
    listener, client, server = facts.connections
    assert listener.startswith("l1 listening; tcp://127.0.0.1:")
    assert client.startswith("c2 open; reading open, writing open; 127.0.0.1:")
    assert server.startswith("c3 open; ")
    assert "bytes unsent" in client
    assert "s in this phase" in client
    assert any("c2 connecting → open" in line for line in facts.events)
    (state,) = facts.states
    assert "2 connections, 1 listeners" in state


def test_a_mungos_program_that_waits_in_its_loop(tmp_path: Path) -> None:
    code = SERVER.replace("AT_OPENED", SAY) + "serve()\n"
    with python(code, environment(tmp_path)) as pid:
        process = only(autopsy(pid))
        check_server(told(process))
        assert "owned by thread MainThread; not in a turn" in told(process).states[0]
        assert (tmp_path / f"{pid}.json").exists()
        again = only(autopsy(pid))
        check_server(told(again))
        assert json.loads((tmp_path / f"{pid}.json").read_text())["answer"] == 2
        (stack,) = [each for each in again.stacks if each.name == "MainThread"]
        assert stack.thread == pid
        assert "serve" in [frame.function for frame in stack.frames]
        assert len(again.stacks) == 1  # of the last request only


def test_a_mungos_program_blocked_in_a_handler(tmp_path: Path) -> None:
    code = SERVER.replace("AT_OPENED", SAY + "; time.sleep(1000)") + "serve()\n"
    with python(code, environment(tmp_path)) as pid:
        process = only(autopsy(pid))
        check_server(told(process))
        assert "; in a turn; " in told(process).states[0]
        assert process.stacks[0].frames[0].function == "on_event"


def test_a_manager_in_another_thread(tmp_path: Path) -> None:
    code = SERVER.replace("AT_OPENED", SAY)
    code += "thread = threading.Thread(target=serve, name='net'); thread.start(); thread.join()\n"
    with python(code, environment(tmp_path)) as pid:
        process = only(autopsy(pid))
        check_server(told(process))
        assert "owned by thread net" in told(process).states[0]
        assert {(each.thread, each.name) for each in process.stacks} == {
            (process.threads[0].tid, "MainThread"),
            (process.threads[1].tid, "net"),
        }


def test_mungos_imported_in_another_thread(tmp_path: Path) -> None:
    server = SERVER.replace("AT_OPENED", SAY) + "serve()\n"
    code = f"import threading, time\ndef serve(): exec({server!r}, {{}})\n"
    code += "threading.Thread(target=serve, name='net', daemon=True).start()\nwhile True: time.sleep(0.05)\n"
    with python(code, environment(tmp_path)) as pid:
        process = only(autopsy(pid))
        check_server(told(process))


def test_a_main_thread_that_runs_no_python_still_shows_its_stack(tmp_path: Path) -> None:
    code = (
        "import ctypes\nfrom mungos.core import Manager\nmanager = Manager()\n"
        "word = ctypes.create_string_buffer(64)\nlibc = ctypes.PyDLL(None)\n"
        "def stuck(): libc.pthread_mutex_lock(word); libc.pthread_mutex_lock(word)\n" + SAY + "\nstuck()\n"
    )
    with python(code, environment(tmp_path)) as pid:
        process = only(autopsy(pid))
        assert process.mungos is None
        assert any("no answer to SIGURG" in line for line in process.missing)
        assert any(frame.function == "stuck" for frame in process.stacks[0].frames)


def test_threads_get_their_stacks_though_the_main_one_does_not_answer(tmp_path: Path) -> None:
    code = (
        "import ctypes, threading\nimport mungos.core\n"
        "def first(): threading.Event().wait()\n"
        "def second(): threading.Lock().acquire() and threading.Semaphore(0).acquire()\n"
        "for work in (first, second): threading.Thread(target=work, daemon=True).start()\n"
        "lock, threads = ctypes.create_string_buffer(256), ctypes.CDLL(None)\n"
        "threads.pthread_mutex_lock(lock)\n" + SAY + "\nthreads.pthread_mutex_lock(lock)\n"
    )
    with python(code, environment(tmp_path)) as pid:
        process = only(autopsy(pid))
        assert process.mungos is None
        names = {each.thread: [frame.function for frame in each.frames] for each in process.stacks}
        main, older, younger = (thread.tid for thread in process.threads)
        assert main == pid
        assert names[main] == ["<module>"]
        assert "first" in names[older]
        assert "second" in names[younger]


def test_a_fork_answers_by_its_own_number(tmp_path: Path) -> None:
    code = (
        "import os, time\nfrom mungos.core import Manager\nmanager = Manager()\n"
        "child = os.fork()\nif child:\n    time.sleep(0.2)\n    " + SAY + "\ntime.sleep(1000)\n"
    )
    with python(code, environment(tmp_path)) as pid:
        parent, child = autopsy(pid).processes
        assert "a copy made by a fork" not in told(parent).states[0]
        assert "a copy made by a fork" in told(child).states[0]
        assert (tmp_path / f"{child.pid}.json").exists()


def test_without_the_variable_nothing_is_armed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom mungos.core import Manager\nmanager = Manager()\n"
        "assert signal.getsignal(signal.SIGURG) == signal.SIG_DFL\n"
        "assert 'mungos.core.account' not in sys.modules\n" + SAY + "\nsignal.pause()\n"
    )
    plain = {key: value for key, value in os.environ.items() if key != "MUNGOS_LAB"}
    with python(code, plain) as pid:
        process = only(autopsy(pid))
        assert process.mungos is None
        assert signal.SIGURG not in process.signals.caught


def test_a_directory_that_is_not_there_harms_nobody(tmp_path: Path) -> None:
    code = SERVER.replace("AT_OPENED", SAY) + "serve()\n"
    with python(code, environment(tmp_path / "none")) as pid:
        assert only(autopsy(pid)).mungos is None


def test_logging_goes_on_as_if_nobody_looked(tmp_path: Path) -> None:
    code = (
        "import logging\nlogging.basicConfig(level=logging.INFO, format='%(message)s')\n"
        "from mungos.core import Manager\nlog = logging.getLogger('mungos.connection')\n"
        "log.debug('quiet'); log.warning('loud')\n"
        "logging.disable(logging.CRITICAL); log.error('off')\n" + SAY + "\nimport signal; signal.pause()\n"
    )
    readable, writable = os.pipe()
    with open(readable, "rb") as errors:
        saved = os.dup(2)
        os.dup2(writable, 2)
        try:
            with python(code, environment(tmp_path)) as pid:
                facts = told(only(autopsy(pid)))
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(writable)
        said = errors.read().decode()
    assert said == "loud\n"
    assert [line.split(" ", 2)[2] for line in facts.events] == ["quiet", "loud", "off"]


def test_what_lies_in_the_directory_is_not_believed(tmp_path: Path) -> None:
    # A program that catches SIGURG and answers with a link, a FIFO or nonsense.
    code = "import os, signal\n"
    code += "path = os.environ['MUNGOS_LAB'] + '/%d' % os.getpid()\n"
    code += "os.symlink('/etc/passwd', path + '.json'); os.mkfifo(path + '.stacks')\n"
    code += "signal.signal(signal.SIGURG, lambda *_: os.utime(path + '.json', follow_symlinks=False))\n"
    code += SAY + "\nwhile True: signal.pause()\n"
    with python(code, environment(tmp_path)) as pid:
        process = only(autopsy(pid))
        assert process.mungos is None
        assert stat.S_ISFIFO(os.stat(tmp_path / f"{pid}.stacks").st_mode)


def test_compose_in_this_very_process() -> None:
    with Manager() as manager:
        listener = manager.listen("tcp://127.0.0.1:0", lambda connection, event: None)
        account = compose([manager])
        assert account["managers"] == 1
        assert account["pid"] == os.getpid()
        assert len(account["ledger"]) == 1  # type: ignore[arg-type]
        assert f"{listener.url}" in account["connections"][0]  # type: ignore[index]
        begun = manager.begin_close(5.0)
        assert "closing, in " in compose([manager])["states"][0]  # type: ignore[index]
        assert not begun.done
    assert "closed" in compose([manager])["states"][0]  # type: ignore[index]
    assert type(logging.getLogger("mungos.manager")) is logging.Logger or os.environ.get("MUNGOS_LAB")


def test_a_python_program_with_a_handler_for_sigusr1() -> None:
    code = (
        "import faulthandler, signal, time\n"
        "asked = open('/dev/null', 'w'); faulthandler.register(signal.SIGUSR1, file=asked)\n"
        + SAY
        + "\ntime.sleep(1000)\n"
    )
    with python(code) as pid:
        process = only(autopsy(pid))
        assert process.language == "python"
        assert process.state == "S"
        assert any(each.source == "py-spy" for each in process.stacks) or any(
            "asked by SIGUSR1" in line for line in process.missing
        )
        assert only(autopsy(pid)).pid == pid


def test_a_python_program_without_one_is_not_signalled() -> None:
    with python(SAY + "\nimport time; time.sleep(1000)\n") as pid:
        process = only(autopsy(pid))
        assert process.stacks or any("py-spy" in line for line in process.missing)
        assert only(autopsy(pid)).state == "S"


def test_py_spy_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A stand-in with py-spy's output: whether the real one is installed is not this test's matter.
    program = tmp_path / "py-spy"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "pid = int(sys.argv[-1])\n"
        "print(json.dumps([{'os_thread_id': pid, 'thread_name': 'MainThread', 'frames': [\n"
        " {'name': 'stuck', 'filename': 'a.py', 'line': 3, 'locals': [{'name': 'x', 'repr': '1'}]}]}]))\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(examination, "py_spy", lambda: str(program))
    with python(SAY + "\nimport time; time.sleep(1000)\n") as pid:
        (stack,) = only(autopsy(pid)).stacks
    assert (stack.thread, stack.name, stack.source, stack.language) == (pid, "MainThread", "py-spy", "python")
    assert (stack.frames[0].function, stack.frames[0].line) == ("stuck", 3)
    assert stack.frames[0].locals == (("x", "1"),)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'[{"frames": 3}]', b'{"a": 1}', b"null"])
def test_py_spy_output_that_is_none(text: bytes) -> None:
    assert from_py_spy(text, {}) == ()


def test_faulthandler_output() -> None:
    text = (
        "Thread 0x00007f01 (most recent call first):\n"
        '  File "/a b.py", line 3 in <lambda>\n'
        '  File "<string>", line ??? in outer\n'
        "\n"
        "Current thread 0x00007f02 [MainThread] (most recent call first):\n"
        '  File "/c.py", line 7 in main\n'
        "\n"
        "Extension modules: x\n"
    )
    first, second = from_faulthandler(text, {0x7F01: (12, "net")})
    assert (first.thread, first.name) == (12, "net")
    assert [(each.function, each.file, each.line) for each in first.frames] == [
        ("<lambda>", "/a b.py", 3),
        ("outer", "<string>", None),
    ]
    assert (second.thread, second.name) == (0, "MainThread")
    assert from_faulthandler("nothing", {}) == ()
