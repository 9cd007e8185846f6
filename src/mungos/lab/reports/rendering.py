"""Writes the reports that were asked for."""

from __future__ import annotations

from collections.abc import Sequence

from mungos.lab.record import Record
from mungos.lab.reports.report_files import write_report

__all__ = ["write_reports"]


def write_reports(runs: Sequence[Record], *, json: str = "", junit: str = "", html: str = "") -> None:
    """Write files; an empty name means: not this one.

    Args:
        runs: at least one.
        json: path of the complete document.
        junit: path of the JUnit XML.
        html: path of the page.

    Raises:
        UnwritableReport: one can't be written; those before it are.
    """
    # Each is imported when it is wanted: a run that passes should cost little.
    if json:
        from mungos.lab.reports.json_document import records_to_json

        write_report(json, records_to_json(runs))
    if junit:
        from mungos.lab.reports.junit import to_junit

        write_report(junit, to_junit(runs))
    if html:
        from mungos.lab.reports.page import to_html

        write_report(html, to_html(runs))
