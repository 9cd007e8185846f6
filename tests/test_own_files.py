"""What others have put in the way is not followed, and what is secret is its owner's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mungos.own_files import open_to_append, open_to_write, place_of, write_whole

SOMEBODY = 12345
others = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A file that nobody means."""
    path = tmp_path / "kept"
    path.write_text("kept", encoding="ascii")
    path.chmod(0o644)
    return path


def test_a_new_file_and_one_that_was_there_are_its_owner_s(tmp_path: Path, kept: Path) -> None:
    before = os.umask(0)
    try:
        for path in (tmp_path / "new", kept):
            write_whole(str(path), b"secret")
            assert (path.read_bytes(), mode(path)) == (b"secret", 0o600)
    finally:
        os.umask(before)
    assert sorted(os.listdir(tmp_path)) == ["kept", "new"]


def test_only_to_try_changes_nothing(tmp_path: Path, kept: Path) -> None:
    write_whole(str(kept), b"secret", only_try=True)
    write_whole(str(tmp_path / "new"), b"secret", only_try=True)
    assert (kept.read_text(encoding="ascii"), mode(kept)) == ("kept", 0o644)
    assert os.listdir(tmp_path) == ["kept"]


def test_links_planted_at_the_draft_s_former_name_are_not_followed(tmp_path: Path, kept: Path) -> None:
    (tmp_path / f".report.{os.getpid()}").symlink_to(kept)
    write_whole(str(tmp_path / "report"), b"secret")
    assert kept.read_text(encoding="ascii") == "kept"
    assert not (tmp_path / "report").is_symlink()


def test_another_name_of_a_file_is_not_written_through(tmp_path: Path, kept: Path) -> None:
    (tmp_path / "report").hardlink_to(kept)
    write_whole(str(tmp_path / "report"), b"secret")
    assert kept.read_text(encoding="ascii") == "kept"


def test_a_link_of_ours_leads_on(tmp_path: Path, kept: Path) -> None:
    (tmp_path / "link").symlink_to("kept")
    write_whole(str(tmp_path / "link"), b"new")
    assert (tmp_path / "link").is_symlink()
    assert kept.read_bytes() == b"new"
    assert place_of(str(tmp_path / "link")) == os.path.realpath(kept)


def test_links_in_a_ring_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        write_whole(str(tmp_path / "a"), b"new")


@others
@pytest.mark.parametrize(
    "write", [lambda path: write_whole(path, b"new"), open_to_write], ids=["whole", "open"]
)
def test_a_link_of_somebody_else_is_refused(tmp_path: Path, kept: Path, write: object) -> None:
    link = tmp_path / "link"
    link.symlink_to(kept)
    os.chown(link, SOMEBODY, SOMEBODY, follow_symlinks=False)
    assert callable(write)
    with pytest.raises(PermissionError, match="a link that somebody else made"):
        write(str(link))
    assert kept.read_text(encoding="ascii") == "kept"


@others
@pytest.mark.parametrize(
    "to", ["folder", "{folder}", "other/../folder"], ids=["name", "whole path", "parent"]
)
@pytest.mark.parametrize(
    "write",
    [lambda path: write_whole(path, b"new"), open_to_write, open_to_append, place_of],
    ids=["whole", "open", "append", "place"],
)
def test_a_folder_that_is_a_link_of_somebody_else_is_refused(tmp_path: Path, to: str, write: object) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "other").mkdir()
    link = tmp_path / "link"
    link.symlink_to(to.format(folder=folder))
    os.chown(link, SOMEBODY, SOMEBODY, follow_symlinks=False)
    assert callable(write)
    for path in (f"{link}/report", f"{tmp_path}/other/../link/./report", f"{link}/missing/report"):
        with pytest.raises(PermissionError, match="a link that somebody else made"):
            write(path)
    assert os.listdir(folder) == []


def test_folders_that_are_our_own_links_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder" / "inside"
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to("second")
    (tmp_path / "second").symlink_to(tmp_path / "folder")
    (folder / "up").symlink_to("../../link/inside/")
    monkeypatch.chdir(tmp_path)
    for path in ("link/inside/new", f"{tmp_path}/second/inside/./up/new", "link/../folder//inside/up/up/new"):
        assert place_of(path) == str(folder / "new")
        write_whole(path, b"new")
        assert os.listdir(folder) == ["new", "up"] or os.listdir(folder) == ["up", "new"]
        (folder / "new").unlink()
    assert place_of("missing/folder/new") == str(tmp_path / "missing/folder/new")
    assert place_of("/") == "/"


def test_a_file_is_no_folder(tmp_path: Path, kept: Path) -> None:
    for path in (f"{kept}/", f"{kept}/new", f"{kept}/../new", f"{kept}/."):
        with pytest.raises(NotADirectoryError):
            write_whole(path, b"new")
    assert os.listdir(tmp_path) == ["kept"]


@others
def test_a_fifo_of_somebody_else_gets_nothing(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    os.chown(fifo, SOMEBODY, SOMEBODY)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for path in (fifo,):
            with pytest.raises(PermissionError, match="another user"):
                write_whole(str(path), b"secret")
            with pytest.raises(PermissionError, match="another user"):
                open_to_append(str(path))
        assert os.read(reader, 10) == b""
    finally:
        os.close(reader)


def test_a_fifo_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="No such device"):
        write_whole(str(tmp_path / "fifo"), b"secret")
    with pytest.raises(OSError, match="No such device"):
        open_to_append(str(tmp_path / "fifo"))


def test_secrets_are_appended_to_a_file_of_ours_alone(tmp_path: Path, kept: Path) -> None:
    for path in (tmp_path / "new", kept):
        descriptor = open_to_append(str(path))
        assert mode(path) == 0o600
        os.write(descriptor, b" secret")
        os.close(descriptor)
    assert kept.read_text(encoding="ascii") == "kept secret"


@pytest.mark.parametrize("to", ["kept", "missing"])
def test_secrets_follow_no_link(tmp_path: Path, kept: Path, to: str) -> None:
    (tmp_path / "link").symlink_to(to)
    with pytest.raises(PermissionError, match="it is a link"):
        open_to_append(str(tmp_path / "link"))
    assert sorted(os.listdir(tmp_path)) == ["kept", "link"]
    assert (kept.read_text(encoding="ascii"), mode(kept)) == ("kept", 0o644)


def test_secrets_go_to_no_other_name_of_a_file(tmp_path: Path, kept: Path) -> None:
    (tmp_path / "other").hardlink_to(kept)
    with pytest.raises(PermissionError, match="another name"):
        open_to_append(str(tmp_path / "other"))
    assert mode(kept) == 0o644


@others
def test_secrets_go_to_no_file_of_somebody_else(kept: Path) -> None:
    os.chown(kept, SOMEBODY, SOMEBODY)
    with pytest.raises(PermissionError, match="another user"):
        open_to_append(str(kept))
    assert mode(kept) == 0o644
