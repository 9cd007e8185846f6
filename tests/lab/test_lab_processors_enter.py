"""Entering a root: what is seen inside, what is not, and what is left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mungos.lab.processors import Root, host_architecture
from tests.lab.processor_roots import SHOWN, bare_root, inside

ENTER = Path(__file__).parents[2] / "src" / "mungos" / "lab" / "processors" / "enter.py"
ALONE = ("unshare", "--user", "--map-root-user", "--pid", "--net", "--mount", "--fork", "--mount-proc")
PYTHON = os.path.realpath(sys.executable)


def allowed() -> bool:
    return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.skipif(not os.path.islink("/bin"), reason="/bin is no link into /usr here"),
    pytest.mark.skipif(not allowed(), reason="no user namespaces here"),
    pytest.mark.timeout(30),
]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return bare_root(tmp_path)


def test_command_runs_with_its_arguments_and_its_status_is_kept(root: Root) -> None:
    done = inside(root, "sh", "-c", 'echo "$1|$2"; exit 7', "sh", "a b", "")
    assert (done.stdout, done.stderr, done.returncode) == ("a b|\n", "", 7)


def test_process_stays_the_same(root: Root) -> None:
    with subprocess.Popen([*_line(root, "sh", "-c", "echo $$")], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert int(child.stdout.read()) == child.pid


def _line(root: Root, *command: str) -> tuple[str, ...]:
    from mungos.lab.processors import wrap

    return wrap(root.architecture, command, show=SHOWN, root=root)


def test_current_folder_has_its_own_path_and_is_src_too(root: Root, tmp_path: Path) -> None:
    here = tmp_path / "project"
    here.mkdir()
    (here / "file").write_text("seen")
    done = inside(root, "sh", "-c", "pwd; cat file /src/file; echo made > made", directory=str(here))
    assert done.stdout == f"{here}\nseenseen"
    assert (here / "made").read_text() == "made\n"


def test_nothing_else_of_the_machine_is_seen_and_what_is_made_is_gone_after(
    root: Root, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("")
    (tmp_path / "here").mkdir()
    name = tmp_path.parent.name + "-made"
    script = f"ls {tmp_path}; ls -A /home /mnt; cd /tmp && touch {name} ~/x /run/x /var/tmp/x && ls -A"
    done = inside(root, "sh", "-c", script, directory=str(tmp_path / "here"))
    assert done.stdout.startswith("here\n/home:\n\n/mnt:\n")
    assert name in done.stdout
    assert not os.path.exists(f"/tmp/{name}")
    assert not (root.path / "tmp").exists()
    assert list((root.path / "mnt").iterdir()) == []


def test_folder_of_the_labs_run_is_seen(root: Root, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "here").mkdir()
    done = inside(
        root, "sh", "-c", 'echo facts > "$MUNGOS_LAB/1.json"', directory=str(tmp_path / "here"),
        MUNGOS_LAB=str(tmp_path / "run"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "1.json").read_text() == "facts\n"


def test_environment_is_kept_but_for_what_is_true_outside_only(root: Root) -> None:
    done = inside(root, "env", MINE="1", VIRTUAL_ENV="/x", PYTHONDONTWRITEBYTECODE="1", LD_PRELOAD="")
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert found["MINE"] == "1"
    assert found["HOME"] == "/root"
    assert found["PATH"].startswith("/usr/local/sbin:")
    assert not {"VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE", "LD_PRELOAD", "TMPDIR"} & set(found)


def test_no_mount_is_left(root: Root) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    assert inside(root, "true").returncode == 0
    assert Path("/proc/self/mountinfo").read_text() == before


def test_further_user_namespaces_are_possible_inside(root: Root) -> None:
    done = inside(root, "unshare", "--user", "--map-root-user", "id", "-u")
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_it_works_in_namespaces_of_the_labs_kind(root: Root) -> None:
    # With a shell as process 1, as the lab's init is.
    done = inside(root, "sh", "-c", "echo $$ > /tmp/x; [ $$ -gt 1 ] && ls -d /proc/1",
                  before=[*ALONE, "sh", "-c", '"$@"; exit $?', "sh"])  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("/proc/1\n", "", 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_it_works_for_an_ordinary_user(root: Root, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o005:
            folder.chmod(0o755)
    done = inside(
        root,
        "id",
        "-u",
        directory="/usr",
        before=["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"],
    )
    if "can't open file" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("the sources can't be read by an ordinary user here")
    assert (done.stdout, done.stderr, done.returncode) == ("0\n", "", 0)


def test_nothing_is_run_as_process_1_unless_asked(root: Root) -> None:
    done = inside(root, "true", before=ALONE)
    assert done.returncode == 2
    assert "must not be process 1" in done.stderr
    asked = inside(root, "sh", "-c", "echo $$", before=ALONE, pid1=True)
    assert (asked.stdout, asked.stderr) == ("1\n", "")


def test_command_that_is_not_there(root: Root) -> None:
    done = inside(root, "no-such-program")
    assert done.returncode == 127
    assert done.stderr == (
        f"mungos lab: can't run no-such-program on {host_architecture()}: No such file or directory\n"
    )


def test_root_that_is_not_there(root: Root) -> None:
    shutil.rmtree(root.path)
    done = inside(root, "true")
    assert (done.returncode, done.stderr) == (126, f"mungos lab: there is no folder {root.path}\n")


def test_wrong_arguments() -> None:
    done = subprocess.run(
        [PYTHON, "-I", "-S", str(ENTER), "root=/", "--"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "KEY=VALUE" in done.stderr


# A user namespace that allows no further ones refuses as an old or locked kernel does.
REFUSING = ("unshare", "--user", "--map-root-user", "sh", "-c",
            'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh")  # fmt: skip


def test_kernel_that_refuses_and_no_proot(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: None)
    done = inside(root, "true", before=REFUSING)
    assert done.returncode == 126
    assert "refuses a root" in done.stderr
    assert "or the Debian package proot" in done.stderr


@pytest.mark.foreign("proot")
def test_kernel_that_refuses_and_proot(root: Root, tmp_path: Path, foreign_program: object) -> None:
    if shutil.which("proot") is None:
        pytest.skip("proot is missing: install the Debian package proot")
    done = inside(root, "sh", "-c", "pwd; exit 3", directory=str(tmp_path), before=REFUSING)
    assert (done.stdout, done.returncode) == (f"{tmp_path}\n", 3), done.stderr
