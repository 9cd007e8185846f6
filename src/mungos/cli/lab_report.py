"""`mungos lab report`: a run again, from its JSON."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mungos.cli.parameter_types import OUTPUT_FILE
from mungos.cli.statuses import Failure
from mungos.errors import Malformed
from mungos.lab.reports.json_document import records_from_json
from mungos.lab.reports.rendering import write_reports
from mungos.lab.reports.report_files import UnwritableReport, check_report_files
from mungos.lab.reports.terminal import console_for, print_matrix, print_report
from mungos.printable import printable

__all__ = ["report"]

MOST_BYTES = 1 << 30
"""Of a document."""


@click.command()
@click.argument("file", metavar="FILE.json", type=click.Path(exists=True, dir_okay=False))
@click.option("--html", type=OUTPUT_FILE, metavar="FILE", help="Write the page.")
@click.option("--junit", type=OUTPUT_FILE, metavar="FILE", help="Write JUnit XML.")
def report(file: str, html: Path | None, junit: Path | None) -> None:
    """Render runs again from what `mungos lab run --json` wrote: on standard output, or as files."""
    wanted = [str(each) for each in (html, junit) if each]
    try:
        check_report_files(wanted)
        path = Path(file)
        if path.stat().st_size > MOST_BYTES:
            raise Failure(f"{file} has {path.stat().st_size} bytes, the limit is {MOST_BYTES} bytes")
        runs = records_from_json(path.read_text(encoding="utf-8"))
    except UnwritableReport as error:
        raise click.UsageError(printable(str(error))) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{file} can't be read: {error}") from None
    except Malformed as error:
        raise Failure(f"{file}: {error}") from None
    if not runs:
        raise Failure(f"{file} holds no run")
    try:
        write_reports(runs, html=str(html or ""), junit=str(junit or ""))
    except UnwritableReport as error:
        raise Failure(str(error)) from None
    if not wanted:
        console = console_for(sys.stdout)
        for run in runs:
            print_report(run, console)
        if len(runs) > 1:
            print_matrix(runs, console)
