"""The HTML page: well formed, complete in itself, harmless, and with everything on it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mungos.lab.facts import Autopsy
from mungos.lab.record import Record
from mungos.lab.reports.page import to_html
from mungos.lab.reports.page_timeline import Scale
from mungos.lab.reports.page_tree import tree
from tests.lab import lab_reports_records as made

VOID = {"meta", "link", "br", "img"}
ALLOWED = {
    "a",
    "article",
    "b",
    "body",
    "circle",
    "code",
    "dd",
    "defs",
    "details",
    "div",
    "dl",
    "dt",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "head",
    "header",
    "html",
    "i",
    "li",
    "link",
    "main",
    "marker",
    "meta",
    "ol",
    "p",
    "path",
    "pre",
    "section",
    "small",
    "span",
    "style",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "ul",
}


class Reader(HTMLParser):
    """Sees to it that elements nest, and notes what there is."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def read(*runs: Record) -> Reader:
    reader = Reader()
    reader.feed(to_html(runs))
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize("run", made.every(), ids=lambda run: run.verdict.value)
def test_every_page_nests_and_has_no_other_elements_than_its_own(run: Record) -> None:
    assert set(read(run).tags) <= ALLOWED


def test_page_fetches_nothing_and_runs_nothing() -> None:
    page = to_html(made.every())
    reader = read(*made.every())
    assert "script" not in reader.tags
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name in {"src", "srcset"}]
    assert {value for name, value in reader.attributes if name == "href" and not value.startswith("#")} == {
        "data:,"
    }
    assert "default-src 'none'" in page
    style = page[page.index("<style>") : page.index("</style>")]
    assert "@import" not in style
    assert set(re.findall(r"url\(([^)]*)\)", page)) <= {"#head-plain", "#head-ring"}


def test_hostile_text_stays_text() -> None:
    page = to_html([made.hostile()])
    assert "<img" not in page
    assert "</script" not in page
    for character in "\x1b\x00\u202e\udcff":
        assert character not in page
    reader = read(made.hostile())
    assert "</script><img src=x onerror=alert(1)>\\x1b[2J\\x00\\u202e&'\"\\xff" in "".join(reader.words)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]


def test_page_says_what_a_reader_looks_for() -> None:
    said = " ".join(read(made.stalled()).words)
    for part in (
        "stalled",
        "worker tests",
        "Two processes wait for each other",
        "pipe-ring",
        "likely",
        "waits for",
        "What to do",
        "here time stopped",
        "the stall clock of 1 min ran out",
        "the autopsy, at",
        "pipe 7 → 812",
        "1 zombie",
        "then nothing, for",
        "⏎ missing",
        "The output was a pipe",
        "CLOSE_WAIT",
        "TIME_WAIT",
        "test_answers",
        "descriptor 5, made at app.py:12",
        "gdb is not installed",
        "64 bits",
        "no timer armed",
    ):
        assert part in said, part


def test_a_deadline_is_on_the_timeline() -> None:
    assert "the deadline of 1 min came" in " ".join(read(made.timed_out()).words)


def test_flaky_shows_both_attempts_and_opens_the_one_that_failed() -> None:
    page = to_html([made.flaky()])
    assert page.count('<details class="attempt"') == 2
    assert page.count('<details class="attempt" open>') == 1


def test_several_processors_have_a_matrix_with_links() -> None:
    page = to_html([made.passed(), made.emulated()])
    assert 'href="#run-2"' in page
    assert 'id="run-2"' in page
    assert page.count("<td>Debian bookworm</td>") == 2  # in the matrix, and among how it was run
    assert "big-endian, 64 bits" in page


def test_a_page_for_paper_and_for_the_dark() -> None:
    page = to_html([made.passed()])
    for part in ("prefers-color-scheme:dark", "@media print", "max-width:640px", 'name="viewport"'):
        assert part in page


def test_a_large_autopsy_makes_a_bounded_page() -> None:
    run = made.stalled()
    attempt = run.attempts[0]
    autopsy = attempt.autopsy
    assert autopsy is not None
    many = tuple(replace(autopsy.processes[1], pid=1000 + n, parent=999 + n) for n in range(3000))
    page = to_html([replace(run, attempts=(replace(attempt, autopsy=replace(autopsy, processes=many)),))])
    assert len(page) < 4_000_000
    assert "more" in page


def test_tree_draws_a_ring_red_and_each_arrow_once() -> None:
    autopsy = made.stalled().attempts[0].autopsy
    assert autopsy is not None
    drawn = tree(autopsy, ())
    assert len(re.findall('class="arrow ring"', drawn)) == 2
    assert len(re.findall('class="arrow plain"', drawn)) == 2
    assert "close a ring" in drawn


def test_tree_survives_parents_in_a_ring() -> None:
    one = made.process(5, 5, 6, "a")
    other = made.process(6, 6, 5, "b")
    drawn = tree(Autopsy(1.0, 0.1, (one, other), (), "the lab's init"), ())
    assert drawn.count('class="node"') == 2


def test_scale_shortens_a_long_standstill_and_keeps_its_order() -> None:
    scale = Scale(61.0, 0.8)
    assert scale.broken
    places = [scale(at) for at in (0.0, 0.4, 0.8, 10.0, 61.0, 100.0)]
    assert places == sorted(places)
    assert places[2] > 0.5
    assert (places[0], places[-1]) == (0.0, 1.0)
    ticks = list(scale.ticks())
    assert [place for place, _ in ticks] == sorted(place for place, _ in ticks)
    assert len(ticks) < 15


@pytest.mark.parametrize("end", [0.0, 0.003, 0.9, 7.0, 61.0, 599.0, 4000.0, 90_000.0, 900_000.0])
def test_scale_has_a_few_ticks_for_any_length(end: float) -> None:
    names = [name for _, name in Scale(end).ticks()]
    assert len(names) <= 12
    assert len(set(names)) == len(names)
