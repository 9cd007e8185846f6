"""Numbers with a unit on the command line."""

from __future__ import annotations

import math
import re

import click

from mungos.cli.parameter_types import ParamType

__all__ = ["SECONDS", "SIZE", "parse_size"]

_SIZE = re.compile(r"([0-9]{1,18})\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def parse_size(text: str) -> int:
    """Bytes: "1000", "64k", "16M", "1GiB"; the units are powers of 1024. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or (size := int(found[1]) * _UNITS[found[2].lower()]) == 0:
        raise ValueError(f"{text!r} is no size in bytes: write 65536, 64k, 16M or 1G")
    return size


class _Size(ParamType[int]):
    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Seconds(ParamType[float]):
    name = "seconds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < math.inf:
            self.fail(f"{value!r} is no number of seconds: write 30 or 0.5", param, ctx)
        return seconds


SIZE = _Size()
SECONDS = _Seconds()
