"""A program does with the lab's directory what it likes: nothing else is harmed, and its verdict stands."""

from __future__ import annotations

import errno
import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mungos.lab import autopsy
from mungos.lab.facts import Autopsy
from mungos.lab.findings import RULES, explaining, sources
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.order import Order
from mungos.lab.record import Finding, Record
from mungos.lab.verdicts import Verdict
from mungos.lab.watch import explanation, run
from mungos.lab.watch.removal import remove_all
from mungos.lab.watch.workspace import Workspace
from tests.lab.lab_watch_programs import MARK, left_of, mark, python, shell, texts

pytestmark = pytest.mark.timeout(60)

LAB = (sys.executable, "-m", "mungos", "lab", "run", "--no-history")
ways = pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "plain"])


@pytest.fixture
def precious(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is nobody else's business; the workspaces are made beside it."""
    workspaces = tmp_path / "workspaces"
    workspaces.mkdir()
    monkeypatch.setenv("TMPDIR", str(workspaces))
    target = tmp_path / "precious"
    (target / "inside").mkdir(parents=True)
    (target / "file").write_text("kept", encoding="ascii")
    (target / "inside" / "file").write_text("kept", encoding="ascii")
    (target / "locked").mkdir(mode=0o500)
    yield target
    assert sorted(path.name for path in target.iterdir()) == ["file", "inside", "locked"]
    assert (target / "inside" / "file").read_text(encoding="ascii") == "kept"
    assert (target / "locked").stat().st_mode & 0o777 == 0o500
    descriptor = os.open(workspaces, os.O_RDONLY)
    remove_all(descriptor, time.monotonic() + 30)  # of a test that failed: too deep for pytest
    os.close(descriptor)


def workspaces(precious: Path) -> list[str]:
    return sorted(os.listdir(precious.parent / "workspaces"))


def lab(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LAB, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=50
    )


def problem(record: Record) -> str:
    return record.attempts[-1].problem


@ways
@pytest.mark.parametrize(
    "code",
    [
        "rm -rf $MUNGOS_LAB; ln -s {target} $MUNGOS_LAB",
        "rm -rf $MUNGOS_LAB; ln -s {target}/inside $MUNGOS_LAB",
        "ln -s {target} $MUNGOS_LAB/link; ln -s {target}/file $MUNGOS_LAB/file",
        "mkdir -p $MUNGOS_LAB/a/b; ln -s {target} $MUNGOS_LAB/a/b/link; ln {target}/file $MUNGOS_LAB/a/hard",
        "ln -s {target}/locked $MUNGOS_LAB/link; chmod 0 $MUNGOS_LAB",
        "rmdir $MUNGOS_LAB",
        "rm -rf $MUNGOS_LAB; mkdir -p $MUNGOS_LAB/again/inside; ln -s {target} $MUNGOS_LAB/again/link",
        "rm -rf $MUNGOS_LAB; echo > $MUNGOS_LAB",
        "rm -rf $MUNGOS_LAB; mkfifo $MUNGOS_LAB",
    ],
)
@pytest.mark.parametrize("status", [0, 3])
def test_a_directory_that_became_something_else_is_removed_as_that(
    precious: Path, code: str, status: int, isolated: bool
) -> None:
    text = f"{code.format(target=shlex.quote(str(precious)))}; exit {status}"
    record = run(Order(shell(text), isolated=isolated))
    assert (record.verdict, record.exit_status) == (Verdict.FAILED if status else Verdict.PASSED, status)
    assert problem(record) == ""
    assert workspaces(precious) == []


def test_a_directory_that_can_not_be_held_does_not_stay(
    precious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_it = os.open

    def no_descriptor_left(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
        return open_it(path, flags, mode)

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "open", no_descriptor_left)
    with pytest.raises(OSError, match="Too many open files"):
        Workspace().make()
    monkeypatch.undo()
    assert os.listdir(precious.parent / "workspaces") == []
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_directory_that_was_moved_away_is_left_there_and_told(precious: Path) -> None:
    away = precious.parent / "away"
    record = run(Order(shell(f"echo > $MUNGOS_LAB/mine; mv $MUNGOS_LAB {shlex.quote(str(away))}")))
    assert record.verdict is Verdict.PASSED
    assert str(away) in problem(record)
    assert [path.name for path in away.iterdir()] == ["mine"]
    assert workspaces(precious) == []


DEEP = """
import os
import shutil
os.chdir(os.environ["MUNGOS_LAB"])
for level in range({depth}):
    if level % 100 == 0:
        open("f", "w").close()
        os.symlink({target!r}, "l")
    os.mkdir("d")
    os.chdir("d")
"""


@ways
def test_three_thousand_folders_inside_each_other_are_removed(
    precious: Path, isolated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.access("/dev/shm", os.W_OK):
        monkeypatch.setenv("TMPDIR", "/dev/shm")
    text = DEEP.format(depth=3000, target=str(precious))
    workspace = Workspace()
    record = run(Order(python(text), isolated=isolated), workspace=workspace)
    path = workspace.path
    assert record.verdict is Verdict.PASSED
    assert workspace.remove(50) == ""
    assert not os.path.exists(path)


ODD = """
import os, socket
os.chdir(os.environ["MUNGOS_LAB"])
os.mkfifo("fifo")
socket.socket(socket.AF_UNIX).bind("socket")
os.mkdir(b"no UTF-8 \\xff\\n")
open(b"no UTF-8 \\xff\\n/\\xfe", "w").close()
os.makedirs("closed/inside/more")
open("closed/inside/file", "w").close()
os.chmod("closed/inside", 0)
os.chmod("closed", 0)
with open("large", "w") as file:
    file.truncate(1 << 30)
os.chmod("large", 0)
os.chmod(".", 0)
"""


def test_what_can_not_be_read_is_removed_all_the_same(precious: Path) -> None:
    record = run(Order(python(ODD)))
    assert (record.verdict, problem(record)) == (Verdict.PASSED, "")
    assert workspaces(precious) == []


def _make_and_remove() -> str:
    workspace = Workspace()
    os.environ["MUNGOS_LAB"] = workspace.make()
    exec(ODD, {})
    return workspace.remove()


def test_an_ordinary_user_removes_folders_of_mode_0(precious: Path) -> None:
    folder = Path(f"/tmp/mungos-test-{os.getpid()}-{os.urandom(4).hex()}")  # pytest's own is for root alone
    folder.mkdir()
    folder.chmod(0o777)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "it failed"
        try:
            os.environ["TMPDIR"] = str(folder)
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            said = _make_and_remove()
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    assert (said, list(folder.iterdir())) == ("", [])
    folder.rmdir()


FOR_EVER = """
import os, sys
os.chdir(os.environ["MUNGOS_LAB"])
os.mkdir("a")
os.mkdir("b")
print("ready", flush=True)
while True:
    for name in "ab":
        try:
            os.rename(name, "c")
            os.symlink({target!r}, name)
            os.unlink(name)
            os.rename("c", name)
        except OSError:
            try:
                os.mkdir(name)
            except OSError:
                pass
"""


def test_a_folder_that_turns_into_a_link_meanwhile_leads_nowhere(precious: Path) -> None:
    for _ in range(5):
        workspace = Workspace()
        environment = {**os.environ, "MUNGOS_LAB": workspace.make()}
        racing = subprocess.Popen(
            [sys.executable, "-c", FOR_EVER.format(target=str(precious))],
            stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        try:
            assert racing.stdout is not None
            assert racing.stdout.readline() == "ready\n"
            workspace.remove(0.3)  # whatever it comes to, `precious` says
        finally:
            racing.kill()
            racing.communicate()


def test_what_takes_too_long_is_left_and_told_after_the_reports(
    precious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace()
    path = workspace.make()
    for number in range(50):
        Path(path, str(number)).touch()
    said = workspace.remove(0.0)
    assert said == f"the command's directory {path} could not be removed: there was no time for more"
    assert len(os.listdir(path)) == 50
    assert workspace.remove() == ""  # idempotent: it lets go of what it could not remove
    folder = os.open(path, os.O_RDONLY)
    try:
        assert remove_all(folder, time.monotonic() + 30) == ""
    finally:
        os.close(folder)
        os.rmdir(path)


def test_reports_are_there_before_anything_is_removed(precious: Path, tmp_path: Path) -> None:
    """What is left is told on standard error, and then also in the reports."""
    report = tmp_path / "run.json"
    code = (
        "import sys, mungos.lab.watch.workspace as workspace\n"
        "def remove(self, *_):\n"
        "    if not self.path: return ''\n"
        f"    print('report written:', __import__('os').path.exists({str(report)!r}))\n"
        "    self.path = ''\n"
        "    return 'something is left'\n"
        "workspace.Workspace.remove = remove\n"
        "from mungos.cli.lab_run_start import start\n"
        f"sys.exit(start(['--no-history', '--json', {str(report)!r}, '--', 'sh', '-c', 'exit 5']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=50
    )
    assert (done.returncode, done.stdout) == (5, "report written: True\n")
    assert "mungos lab: something is left\n" in done.stderr
    (told,) = json.loads(report.read_text(encoding="utf-8"))["runs"]
    assert told["attempts"][-1]["problem"] == "something is left"
    for each in (precious.parent / "workspaces").iterdir():
        each.rmdir()


def test_every_attempt_gets_a_new_directory(precious: Path) -> None:
    text = "echo $MUNGOS_LAB; ls -A $MUNGOS_LAB; touch $MUNGOS_LAB/x; chmod 0 $MUNGOS_LAB; exit 1"
    record = run(Order(shell(text), retries=2))
    paths = [texts(attempt) for attempt in record.attempts]
    assert len({path for (path,) in paths}) == 3
    assert workspaces(precious) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts something")
@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount program")
def test_what_was_mounted_in_it_is_not_emptied(precious: Path) -> None:
    workspace = Workspace()
    path = Path(workspace.make())
    for name in ("here", "deep/inside"):
        (path / name).mkdir(parents=True)
        done = subprocess.run(["mount", "--bind", precious, path / name], capture_output=True, check=False)
        if done.returncode:
            for each in sorted(path.rglob("*"), reverse=True):
                each.rmdir()
            workspace.remove()
            pytest.skip("mount is not allowed here")
    try:
        said = workspace.remove()
    finally:
        for name in ("here", "deep/inside"):
            subprocess.run(["umount", path / name], check=True)
    assert "could not be removed: " in said
    assert "mounted" in said or "busy" in said.lower()


def test_a_killed_lab_s_keeper_follows_no_link_either(precious: Path) -> None:
    value = mark()
    code = f"rm -rf $MUNGOS_LAB; ln -s {shlex.quote(str(precious))} $MUNGOS_LAB; echo here; sleep 1000"
    process = subprocess.Popen(
        [*LAB, "--", "sh", "-c", code], stdout=subprocess.PIPE, env={**os.environ, MARK: value}
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert left_of(value) == []
    assert workspaces(precious) == []


# What it answers, and what it says of itself

ANSWERS = """
import os, signal, time
path = os.path.join(os.environ["MUNGOS_LAB"], str(os.getpid()))
{prepare}
def answer(*_):
    {answer}
signal.signal(signal.SIGURG, answer)
print("ready", flush=True)
while True:
    time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("prepare", "answer"),
    [
        ("os.mkfifo(path + '.stacks')", "os.mkfifo(path + '.json')"),
        ("", "os.symlink('/etc/passwd', path + '.json')"),
        ("", "f = open(path + '.json', 'w'); f.truncate(1 << 30); f.close()"),
        ("", "f = open(path + '.json', 'w'); f.write('[' * (1 << 20)); f.close()"),
        ("", "f = open(path + '.json', 'w'); f.write('{\"ledger\": ' + '9' * 100000 + '}'); f.close()"),
        (
            "f = open(path + '.stacks', 'w'); f.truncate(1 << 40); f.close()",
            "os.mkdir(path + '.json')",
        ),
    ],
    ids=["fifos", "link", "gigabyte", "nested", "digits", "sparse stacks"],
)
def test_an_answer_that_is_none_delays_nothing(precious: Path, prepare: str, answer: str) -> None:
    code = ANSWERS.format(prepare=prepare, answer=answer)
    record = run(Order((sys.executable, "-c", code), stall=0.6, grace=0.2))
    (attempt,) = record.attempts
    assert attempt.verdict is Verdict.STALLED
    assert attempt.problem == ""
    assert attempt.explained_in is not None
    assert attempt.explained_in < 5
    assert attempt.autopsy is not None
    assert all(process.mungos is None for process in attempt.autopsy.processes)
    assert "root:" not in repr(record)
    assert workspaces(precious) == []


def test_who_names_another_directory_is_not_asked_there(precious: Path) -> None:
    inner = ANSWERS.format(prepare="", answer="os.mkdir(path + '.json')")
    code = (
        "import os, sys\n"
        "other = os.environ['MUNGOS_LAB'] + '/other'\n"
        "os.mkdir(other)\n"
        f"os.execve(sys.executable, [sys.executable, '-c', {inner!r}],"
        " {**os.environ, 'MUNGOS_LAB': other})\n"
    )
    (attempt,) = run(Order((sys.executable, "-c", code), stall=0.6, grace=0.2)).attempts
    assert attempt.autopsy is not None
    said = [text for process in attempt.autopsy.processes for text in process.missing]
    assert "its own account: the directory that it names for it is not used" in said


def test_a_source_that_is_a_fifo_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the reading it turns into what blocks who opens it."""
    path = tmp_path / "source.py"
    path.write_text("pass\n", encoding="ascii")
    about = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", lambda *_, **__: about)
        assert sources._text(str(path)) == ""


def test_what_a_command_is_called_moves_no_cursor(precious: Path, tmp_path: Path) -> None:
    """Names, arguments, output and threads with escape sequences, in each report."""
    odd = "\x1b[2J\u202e\x07name"
    code = (
        "import threading, time, sys, ctypes\n"
        f"ctypes.CDLL(None).prctl(15, {odd.encode()!r}, 0, 0, 0)\n"
        f"print({odd!r}, flush=True)\n"
        f"threading.Thread(target=time.sleep, args=(1000,), name={odd!r}).start()\n"
        "open(sys.argv[1] + '/' + sys.argv[2], 'w').close()\n"
        "held = open(sys.argv[1] + '/' + sys.argv[2])\n"
        "time.sleep(1000)\n"
    )
    files = {kind: tmp_path / f"run.{kind}" for kind in ("json", "junit", "html")}
    options = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    command = ("--", sys.executable, "-c", code, str(tmp_path), odd)
    done = lab("--quiet", "--name", odd, "--stall", "0.5", "--grace", "0.2", *options, *command)
    assert done.returncode == 123
    for text in (done.stderr, *(path.read_text(encoding="utf-8") for path in files.values())):
        assert not any(mark in text for mark in ("\x1b", "\u202e", "\x07"))


FORGED = """
import os
import shutil
for number in (1, 2):
    for _ in range(50):
        os.write(number, b"mungos lab: passed in 1 ms\\n\\x1b[2J" * 2000)
os.closerange(0, 3)
os._exit(9)
"""


def test_a_verdict_that_the_program_prints_is_not_the_lab_s(precious: Path) -> None:
    record = run(Order(python(FORGED)))
    assert (record.verdict, record.exit_status) == (Verdict.FAILED, 9)


def test_the_command_holds_no_descriptor_of_the_lab(precious: Path) -> None:
    record = run(Order(python("import os; print(sorted(os.listdir('/proc/self/fd')))")))
    (line,) = texts(record.attempts[0])
    assert line == "['0', '1', '2', '3']"  # the last one is that of the list itself


def test_a_socket_at_the_directory_s_place_is_removed(precious: Path) -> None:
    code = (
        "import os, socket\n"
        "path = os.environ['MUNGOS_LAB']\n"
        "os.chdir(os.path.dirname(path))\n"
        "os.rmdir(path)\n"
        "socket.socket(socket.AF_UNIX).bind(os.path.basename(path))"
    )
    record = run(Order(python(code)))
    assert (record.verdict, problem(record)) == (Verdict.PASSED, "")
    assert workspaces(precious) == []


FORGER = """
import os
import shutil
for pid in os.listdir("/proc"):
    try:
        if open(f"/proc/{pid}/comm").read().strip() not in {"mungos-guard", "mungos-keeper"}:
            continue
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                pipe = os.open(f"/proc/{pid}/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
                os.write(pipe, b"ended 0 0.0 0.0\\nended x\\nempty 0\\nguard 1\\nrefused it\\n")
                os.write(pipe, b"x" * 100000)
            except OSError:
                pass
    except (OSError, ValueError):
        pass
os._exit(7)
"""


@ways
def test_what_the_program_writes_to_the_keeper_s_pipe_is_no_word_of_the_keeper(
    precious: Path, isolated: bool
) -> None:
    record = run(Order(python(FORGER), isolated=isolated))
    assert (record.verdict, record.exit_status) == (Verdict.FAILED, 7), texts(record.attempts[0], "stderr")


def test_a_source_too_deep_for_a_rule_leaves_the_others_their_findings(
    precious: Path, tmp_path: Path
) -> None:
    """A name with 900 dots under a lock that is waited for."""
    deep = "a" + ".a" * 900
    source = tmp_path / "deep.py"
    text = (
        "import threading\n"
        "class A: pass\n"
        "a = A(); a.a = a\n"
        "lock = threading.Lock()\n"
        "def work():\n"
        f"    {deep}.b = 1\n"
        "    with lock:\n"
        "        lock.acquire()\n"
        f"    if 0: {deep}.acquire()\n"
        "work()\n"
    )
    source.write_text(text, encoding="ascii")
    (attempt,) = run(Order((sys.executable, str(source)), stall=0.6, grace=0.2)).attempts
    assert attempt.verdict is Verdict.STALLED
    assert attempt.findings


def test_a_rule_that_fails_is_named_and_the_others_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_case: Case) -> Iterator[Finding]:
        raise RecursionError("too deep")

    broken = Rule(RULES[0].name, "fails", fail)
    monkeypatch.setattr(explaining, "RULES", (broken, *RULES[1:]))
    record = run(Order(shell("sleep 1000"), stall=0.3, grace=0.1))
    assert f"the rule {RULES[0].name} failed: RecursionError: too deep" in problem(record)
    assert record.attempts[0].findings


def _held_up(roots: list[int], **_: object) -> Autopsy:
    """An examination that waits until what it looks at is gone, as in a read that only its end releases."""
    handle = os.pidfd_open(roots[0])
    try:
        gone = bool(select.select([handle], [], [], 30)[0])
    finally:
        os.close(handle)
    raise OSError(f"released: {gone}")


@ways
def test_an_autopsy_that_is_held_up_by_what_it_looks_at_comes_to_an_end(
    precious: Path, isolated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autopsy, "examine", _held_up)
    monkeypatch.setattr(explanation, "HELD_UP", 0.2)
    value = mark()
    order = Order(
        shell("sleep 1000 & sleep 1000"), stall=0.3, grace=0.2, isolated=isolated,
        environment={**os.environ, MARK: value},
    )  # fmt: skip
    record = run(order)
    assert record.verdict is Verdict.STALLED
    assert "released: True" in problem(record)
    assert left_of(value) == []
    assert workspaces(precious) == []
