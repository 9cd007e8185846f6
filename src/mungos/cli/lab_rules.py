"""`mungos lab rules`: what the lab can find."""

from __future__ import annotations

import inspect
import sys

import click
from rich.text import Text

from mungos.lab.findings import RULES
from mungos.lab.findings.contract import Rule
from mungos.lab.reports.terminal import console_for, simple_table

__all__ = ["about_of", "advice_of", "rules", "rules_in_markdown"]


@click.command()
@click.argument("name", required=False)
@click.option("--markdown", is_flag=True, help="As the table of docs/lab.md.")
def rules(name: str | None, markdown: bool) -> None:
    """List what the lab can find; with a NAME, what that one means and what to do about it."""
    if markdown:
        click.echo(rules_in_markdown(), nl=False)
        return
    console = console_for(sys.stdout)
    if name is None:
        table = simple_table("rule", "says that", wrap=("says that",))
        for each in RULES:
            table.add_row(each.name, each.summary)
        console.print(table)
        console.print()
        console.print("mungos lab rules NAME: what to do about it", style="dim")
        return
    found = next((each for each in RULES if each.name == name), None)
    if found is None:
        near = ", ".join(each.name for each in RULES if name in each.name)
        raise click.UsageError(f"there is no rule {name!r}" + (f"; there is {near}" if near else ""))
    console.print(Text(found.name, "bold"), Text(f" {found.summary}", ""), soft_wrap=True)
    about, advice = about_of(found), advice_of(found)
    for text, style in ((about, ""), (advice, "cyan")):
        if text:
            console.print()
            console.print(Text(text, style))


def rules_in_markdown() -> str:
    """The table of the user's guide, a row for each rule."""
    rows = (f"| `{each.name}` | {each.summary.replace('|', chr(92) + '|')} |" for each in RULES)
    return "\n".join(["| rule | says that |", "|---|---|", *rows, ""])


def about_of(rule: Rule) -> str:
    """What the rule's own module says it is about."""
    module = inspect.getmodule(rule.examine)
    return " ".join(inspect.cleandoc(module.__doc__ or "").split()) if module is not None else ""


def advice_of(rule: Rule) -> str:
    """What to do, where the rule always says the same."""
    own = getattr(rule, "advice", "")
    if own:
        return str(own)
    module = inspect.getmodule(rule.examine)
    for name in ("ADVICE", "_ADVICE"):
        text = getattr(module, name, None)
        if isinstance(text, str):
            return text
    return ""
