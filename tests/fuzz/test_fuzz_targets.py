"""Every fuzz target for a moment; and that the plain driver finds what it is made to find."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from fuzz.catalogue import NAMES, load
from fuzz.command import DEFECT, FINISHED, main
from fuzz.mutation import mutate
from fuzz.plain import MOST_GROWTH, Found, attempt, run_plain
from fuzz.target import Defect, Target, require, told

SECONDS = 0.7


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", NAMES)
def test_target_for_a_moment(name: str, time_factor: float) -> None:
    run = run_plain(load(name), SECONDS, seed=1, patience=2.0 * time_factor)
    assert run.found is None, run.found
    assert run.inputs >= len(load(name).seeds())
    assert run.endings > 1


def target(run: object) -> Target:
    return Target("made", "made for a test", run, lambda: [b"seed"], (b"magic",), 64)  # type: ignore[arg-type]


def test_an_exception_is_found() -> None:
    def run(data: bytes) -> str:
        require(b"magic" not in data, "magic")
        return ""

    found = run_plain(target(run), 5.0, seed=1).found
    assert found is not None
    assert b"magic" in found.data
    assert isinstance(found.error, Defect)


def test_a_hang_is_found() -> None:
    def run(data: bytes) -> str:
        while data:
            pass
        return ""

    found = attempt(target(run), b"x", 0.1)
    assert isinstance(found, Found)
    assert "more than 0.1 s" in str(found.error)


def test_a_peak_of_memory_is_found() -> None:
    found = attempt(target(lambda data: str(len(b"x" * (1 << 20) * 512))), b"x", 10.0)
    assert isinstance(found, Found)
    assert f"limit {MOST_GROWTH} KiB" in str(found.error)


def test_mutations_are_bounded_and_repeatable() -> None:
    def some(seed: int) -> list[bytes]:
        random = Random(seed)
        return [mutate(b"some bytes", [b"others"], [b"word"], 40, random) for _ in range(500)]

    assert some(1) == some(1) != some(2)
    assert max(map(len, some(1))) <= 40


def test_an_error_is_told_without_its_values() -> None:
    assert (
        told(ValueError("7 bytes at 0x1f"))
        == told(ValueError("9 bytes at 0x20"))
        == "ValueError: # bytes at #"
    )


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == FINISHED
    listed = capsys.readouterr().out
    assert [line.split()[0] for line in listed.splitlines()] == list(NAMES)
    path = tmp_path / "input"
    path.write_bytes(b"\0\0")
    assert main(["dns-message", "--input", str(path)]) == FINISHED
    arguments = [
        "dns-message",
        "--driver",
        "plain",
        "--seconds",
        "0.1",
        "--seed",
        "1",
        "--keep",
        str(tmp_path),
    ]
    assert main(arguments) == FINISHED
    for wrong in (["no-such-target"], [], ["all", "--seconds", "0"]):
        with pytest.raises(SystemExit) as left:
            main([*wrong, "--driver", "plain"])
        assert left.value.code == 2


def test_a_defect_is_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(data: bytes) -> str:
        raise Defect("always")

    monkeypatch.setattr("fuzz.command.load", lambda name: target(run))
    assert main(["dns-message", "--driver", "plain", "--keep", str(tmp_path)]) == DEFECT
    (kept,) = tmp_path.iterdir()
    assert kept.read_bytes() == b"seed"
    assert main(["dns-message", "--input", str(kept)]) == DEFECT
    assert "always" in capsys.readouterr().err
