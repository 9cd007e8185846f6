"""The programs of the documentation run, and type checkers have nothing against them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mungos.errors import Misuse
from mungos.http import FileServer
from mungos.wires import KernelWire, MemoryNetwork
from mungos.wires.contract import Mover

if TYPE_CHECKING:
    from mungos.wires import Wire

ROOT = Path(__file__).parents[2]


def programs(page: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_program_that_serves_files_serves_them(tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192  # more than the queue takes at once
    (tmp_path / "large.bin").write_bytes(content)
    (code,) = programs("docs/handlers.md")
    assert code.count(":8080") == 1
    command = [sys.executable, "-W", "error", "-c", code.replace(":8080", ":0"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().removeprefix("listening at ").strip()
        with urllib.request.urlopen(f"{url}large.bin", timeout=8) as answer:
            assert answer.headers["Cache-Control"] == "max-age=60"
            assert answer.read() == content
        server.send_signal(signal.SIGTERM)
        out, error = server.communicate()
    assert (server.returncode, error) == (0, "")
    assert out.startswith("closed in ")


@pytest.mark.parametrize("given", [60, b"max-age=60", ""])
def test_a_cache_control_that_is_no_text_is_named_by_its_name(given: object, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r'^cache_control is .*: write a str, or None: "max-age=60"$'):
        FileServer(tmp_path, cache_control=given)  # type: ignore[arg-type]


def test_what_zone_answers_is_looked_at_before_it_is_handed_on() -> None:
    lookup = programs("docs/names.md")[0]
    assert "if answer := zone.answer(query):" in lookup


def test_both_wires_are_wires_to_every_type_checker() -> None:
    """What an attribute may hold is a class with `__call__`: a `Callable` would be a method to some."""
    network = MemoryNetwork()
    wires: list[Wire] = [network.wire(), KernelWire()]
    for wire in wires:
        assert wire.random(3) is not None
        wire.close()
    for module in ("kernel", "memory"):
        text = (ROOT / "src/mungos/wires" / f"{module}.py").read_text("utf-8")
        for name in ("recv_into", "send"):
            assert f"self.{name}: {Mover.__name__} = " in text
