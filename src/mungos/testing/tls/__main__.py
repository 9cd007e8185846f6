"""`python -m mungos.testing.tls`: every case of the catalogue, put to TLS engines."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mungos.errors import Misuse
from mungos.testing.tls.catalogue import SECTIONS, catalogue
from mungos.testing.tls.running import cells
from mungos.testing.tls.seats import load
from mungos.testing.tls.tables import as_json, as_markdown, into_document, print_table, summary
from mungos.testing.tls.verdicts import Outcome, Verdict
from mungos.testing.tls.workers import run_cells
from mungos.tls.engines import all_engines

__all__ = ["main"]

OK, FAILED, USAGE = 0, 1, 2

EXAMPLES = """\
examples:
  python -m mungos.testing.tls                            every engine that can be used here
  python -m mungos.testing.tls --engine builtin --case T61
  python -m mungos.testing.tls --engine mypackage.engine:FACTORY --role server
  python -m mungos.testing.tls --section C --json > closing.json
  python -m mungos.testing.tls --write docs/tls-conformance.md

signs (--plain and --markdown, too):
  ✓ pass   ✗ fail   – not applicable   ≈ behaviour of the library below the engine
  Several signs in one place stand for FIN, RST and silence, in this order.

exit status:
  0  no cell failed, and each that is no pass is explained
  1  a cell failed
  2  the command line can't be understood, or an engine can't be used
"""  # noqa: RUF001 - the dash is a sign of the table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mungos.testing.tls",
        description="Puts TLS engines through every case of the catalogue, as client and as server.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--engine",
        action="append",
        metavar="NAME|MODULE:FACTORY",
        help="an engine by its name, or a factory by its place; may be repeated (default: all present)",
    )
    parser.add_argument("--case", action="append", metavar="ID", help="only this case (T61); may be repeated")
    parser.add_argument(
        "--section",
        action="append",
        metavar="LETTER",
        help="only this section: A, B, C or D; may be repeated",
    )
    parser.add_argument(
        "--role", action="append", choices=("client", "server"), help="only this role of the engine"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: %(default)s)"
    )
    parser.add_argument(
        "--time-factor", type=float, default=1.0, metavar="F", help="stretches deadlines, for slow processors"
    )
    parser.add_argument(
        "--strict", action="store_true", help="nothing is left to a library: its behaviour fails, too"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="all cells as JSON")
    output.add_argument("--markdown", action="store_true", help="the table as Markdown")
    output.add_argument("--write", metavar="FILE", help="replace the generated part of this document")
    output.add_argument("--plain", action="store_true", help="the table without colours and lines")
    output.add_argument("--list", action="store_true", help="the catalogue, nothing is tried")
    return parser


def _engines(wanted: Sequence[str] | None) -> list[str]:
    if wanted:
        for each in wanted:
            load(each)
        return list(dict.fromkeys(wanted))
    return [each.name for each in all_engines() if each.present]


def _progress(total: int) -> Callable[[Outcome], None]:
    """Tells of each outcome on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        return lambda _: None
    done = failed = 0
    width = 30

    def tell(outcome: Outcome) -> None:
        nonlocal done, failed
        done += 1
        failed += outcome.verdict is Verdict.FAIL
        bar = "#" * (width * done // total)
        text = f"\r[{bar:{width}}] {done}/{total}, {failed} failed, {outcome.name}"
        sys.stderr.write(f"{text[:100]:100}" + ("\n" if done == total else ""))
        sys.stderr.flush()

    return tell


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 or 2 as `--help` has them."""
    parser = _parser()
    options = parser.parse_args(arguments)
    known = {case.id for case in catalogue()}
    ids = [each.upper() for each in options.case or ()]
    sections = [each.upper() for each in options.section or ()]
    if unknown := [each for each in ids if each not in known]:
        parser.error(f"unknown case {', '.join(unknown)}; known are T01 to T93")
    if unknown := [each for each in sections if each not in SECTIONS]:
        parser.error(f"unknown section {', '.join(unknown)}; known are A, B, C and D")
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: at least 1")
    if options.list:
        for case in catalogue():
            if (not ids or case.id in ids) and (not sections or case.section in sections):
                print(f"{case.id}  {case.title}: {case.expected} [{case.spec or '-'}]")
        return OK
    try:
        engines = _engines(options.engine)
    except Misuse as error:
        parser.error(str(error))
    document = None
    if options.write:
        try:
            document = Path(options.write).read_text("utf-8")
            into_document(document, "")
        except (OSError, ValueError) as error:
            parser.error(str(error))
    return _run(options, engines, ids, sections, document)


def _run(
    options: argparse.Namespace,
    engines: Sequence[str],
    ids: Sequence[str],
    sections: Sequence[str],
    document: str | None,
) -> int:
    chosen = cells(engines, ids=ids, sections=sections, roles=options.role or ())
    tell = _progress(len(chosen))
    began = time.monotonic()
    places = {cell: place for place, cell in enumerate(chosen)}
    outcomes: list[Outcome] = []
    for outcome in run_cells(
        chosen, jobs=options.jobs, time_factor=options.time_factor, strict=options.strict
    ):
        tell(outcome)
        outcomes.append(outcome)
    outcomes.sort(key=lambda each: places[each.engine, each.case, each.role, each.cut])  # type: ignore[index]
    if options.json:
        print(as_json(outcomes))
    elif options.markdown:
        print(as_markdown(outcomes), end="")
    elif document is not None:
        Path(options.write).write_text(into_document(document, as_markdown(outcomes)), "utf-8")
        print("\n".join(summary(outcomes)))
    else:
        print_table(outcomes, plain=options.plain)
        print(f"{time.monotonic() - began:.0f} s")
    return FAILED if any(each.verdict is Verdict.FAIL for each in outcomes) else OK


if __name__ == "__main__":
    sys.exit(main())
