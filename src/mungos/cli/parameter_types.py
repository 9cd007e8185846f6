"""click's parameter types, generic in every version of click: they became so with click 8.4."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

__all__ = ["OUTPUT_FILE", "ParamType", "unfit_file"]

if TYPE_CHECKING:
    ParamType = click.ParamType
else:

    class ParamType(click.ParamType):
        """As click's own; what it converts to is told to checkers only."""

        def __class_getitem__(cls, item):
            return cls


def unfit_file(text: str) -> str:
    """Why this names no file to write to, and what to write instead; empty when it does.

    Elsewhere "-" is standard output, where commands of ours have other things to say.
    """
    if not text:
        return "the name of the file is empty: leave the option out, or name a file"
    return "'-' names no file: write ./- for one of that name" if text == "-" else ""


class _OutputFile(ParamType[Path]):
    """A file that the command writes."""

    name = "file"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if why := unfit_file(str(value)):
            self.fail(why, param, ctx)
        return Path(str(value))


OUTPUT_FILE = _OutputFile()
