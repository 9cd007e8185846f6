"""The rule blocked-in-handler."""

from __future__ import annotations

from pathlib import Path

from mungos.lab.findings.rules.blocked_in_handler import RULE
from tests.lab.findings.scenes import (
    case,
    found,
    process,
    stack,
    thread,
)


def test_a_signal_handler(tmp_path: Path) -> None:
    path = tmp_path / "handler.py"
    path.write_text("def handler(number, frame):\n    with lock:\n        pass\n\n\nwork()\nhandler(1, 2)\n")
    text = f"handler ({path}:2) | number=10, frame=<frame at 0x7f01>\n<module> ({path}:{{}})"
    (finding,) = found(RULE, case(process(thread("futex"), stacks=[stack(text.format(6))])))
    assert "a signal handler" in finding.title
    assert any("interrupted" in each for each in finding.evidence)
    # It is called like any function.
    assert not found(RULE, case(process(thread("futex"), stacks=[stack(text.format(7))])))


def test_finalizers_exit_callbacks_and_c() -> None:
    finalizer = stack("__del__ (a.py:4)\n<module> (a.py:9)")
    assert "__del__" in found(RULE, case(process(thread("futex"), stacks=[finalizer])))[0].title
    leaving = stack("Condition.wait (threading.py:327)\nfarewell (a.py:2)")
    assert found(RULE, case(process(thread("futex"), stacks=[leaving])))[0].certainty == "likely"
    native = stack(
        "lock (libc.so.6:1)\non_term (a.c:4)\n<signal handler called> (a.c:1)\nmain (a.c:9)",
        language="native",
    )
    assert "on_term" in found(RULE, case(process(thread("futex", 1, 128, 2), stacks=[native])))[0].title


def test_near_misses() -> None:
    for text in (
        "Condition.wait (threading.py:327)\n<module> (a.py:2)",
        "_shutdown (threading.py:1590)",
        "Queue._finalize_join (multiprocessing/queues.py:199)\n_exit_function (multiprocessing/util.py:360)",
        "work (a.py:3)\n_run_code (<frozen runpy>:88)\n_run_module_as_main (<frozen runpy>:198)",
    ):
        assert not found(RULE, case(process(thread("futex"), stacks=[stack(text)]))), text
    timed = stack("__del__ (a.py:4)\n<module> (a.py:9)")
    assert not found(RULE, case(process(thread("futex", timeout=1.0), stacks=[timed])))
