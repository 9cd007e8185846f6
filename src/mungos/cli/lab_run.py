"""`mungos lab run`: its help and its messages. A correct command line goes past it; see `lab_run_options`."""

from __future__ import annotations

import click

from mungos.cli.lab_run_options import ARGUMENT, MOST_RETRIES, MOST_SECONDS, OPTIONS, Option, Request
from mungos.cli.lab_run_work import Unusable, work
from mungos.cli.parameter_types import ParamType, unfit_file

__all__ = ["LAB_STATUSES", "run"]

LAB_STATUSES = """\b
Exit status:
  0      passed
  1      flaky: a retry passed after an attempt that did not
  2      wrong usage, or a report or history that can't be written; nothing was
         run, or it passed and the writing failed then: the last line says which
  122    spinning: a CPU busy without output or I/O for the stall time
  123    stalled: no output and hardly any CPU for the stall time
  124    timed out: the deadline came
  125    leaked: it ended with 0 and left processes running
  127    not started
  other  failed: the command's own status, 128+N when signal N ended it
  128+N  the lab itself was ended by signal N (^C: 130)
With several processors: that of the first one that did not pass."""


class _Seconds(ParamType[float]):
    name = "seconds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        if not 0 < seconds <= MOST_SECONDS:
            self.fail(f"{value} is not above 0 and at most {MOST_SECONDS:.0f} seconds", param, ctx)
        return seconds


class _File(ParamType[str]):
    name = "file"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if why := unfit_file(str(value)):
            self.fail(why, param, ctx)
        return str(value)


def _parameter(option: Option) -> click.Option:
    names = ["/".join(option.names)] if option.kind == "pair" else list(option.names)
    kinds: dict[str, ParamType[object] | type] = {
        "seconds": _Seconds(),
        "count": click.IntRange(0, MOST_RETRIES),
        "text": str,
        "file": _File(),
    }
    if option.kind in {"flag", "pair"}:
        return click.Option(
            [*names, option.attribute], is_flag=True, default=option.default, help=option.text
        )
    shown = option.default not in {"", None}  # else it is not given
    return click.Option(
        [*names, option.attribute],
        type=click.Choice(option.choices) if option.choices else kinds[option.kind],
        default=option.default if shown else None,
        show_default=shown,
        metavar=option.metavar or None,
        help=option.text,
    )


def _carry_out(command: tuple[str, ...], **values: object) -> int:
    try:
        return work(Request(values, command))
    except Unusable as error:
        raise click.UsageError(str(error)) from None


run = click.Command(
    "run",
    callback=_carry_out,
    params=[
        *(_parameter(option) for option in OPTIONS),
        click.Argument(["command"], nargs=-1, required=True, metavar=ARGUMENT, type=click.UNPROCESSED),
    ],
    help="""Run COMMAND under watch; end it when it does not end; explain why.

Its output is passed on as it comes. The lab speaks on standard error, in the end: one line with the
verdict, and, when it did not pass, the findings (who waits, for whom, since when, what to do) above the
facts. Everything that COMMAND has started is ended with it.""",
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]},
    epilog=f"""\b
Examples:
  mungos lab run -- make test
  mungos lab run --deadline 300 --stall 30 --junit lab.xml --html lab.html -- ./nightly
  mungos lab run --pid1 -- ./server --once
  mungos lab run --arch native,s390x,i386 -- python3 -m pytest

{LAB_STATUSES}""",
)
