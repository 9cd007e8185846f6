"""docs/lab.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from mungos.cli.lab import lab
from mungos.cli.lab_arch import add
from mungos.cli.lab_rules import advice_of, rules_in_markdown
from mungos.cli.lab_run import LAB_STATUSES
from mungos.cli.lab_run_options import OPTIONS
from mungos.lab.findings import RULES
from mungos.lab.reports.json_document import FORMAT, VERSION
from mungos.lab.verdicts import Verdict, exit_status

GUIDE = (Path(__file__).parents[2] / "docs" / "lab.md").read_text(encoding="utf-8")


def test_the_list_of_findings_is_that_of_the_rules() -> None:
    found = re.search(r"<!-- begin rules[^>]*-->\n(.*?)<!-- end rules -->", GUIDE, re.DOTALL)
    assert found is not None
    assert found[1] == rules_in_markdown(), "put in what `mungos lab rules --markdown` prints"


def test_every_rule_says_what_to_do_or_leaves_it_to_its_findings() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.summary and isinstance(advice_of(rule), str) for rule in RULES)


def test_every_status_is_in_the_table_and_in_the_help() -> None:
    for verdict in Verdict:
        if verdict is not Verdict.FAILED:
            status = exit_status(verdict, None)
            assert re.search(rf"^\| {status} \| {verdict.value}", GUIDE, re.MULTILINE)
            assert re.search(rf"^  {status}\s+{verdict.value}", LAB_STATUSES, re.MULTILINE)


def test_options_that_the_guide_names_exist() -> None:
    known = {name for option in OPTIONS for name in option.names}
    known |= {"--last", "--rates", "--since", "--forget", "--markdown", "--once", "--init"}
    known |= {name for parameter in add.params for name in parameter.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", GUIDE)) <= known


def test_every_command_is_in_the_guide() -> None:
    context = lab.make_context("lab", ["run"])
    for name in lab.list_commands(context):
        if name != "selftest":
            assert f"`mungos lab {name}" in GUIDE or f"mungos lab {name} " in GUIDE


def test_the_documents_format_is_named() -> None:
    assert f'{{"format": "{FORMAT}", "version": {VERSION}, "runs": [...]}}' in GUIDE
