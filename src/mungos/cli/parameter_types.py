"""click's parameter types, generic in every version of click: they became so with click 8.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

__all__ = ["ParamType"]

if TYPE_CHECKING:
    ParamType = click.ParamType
else:

    class ParamType(click.ParamType):
        """As click's own; what it converts to is told to checkers only."""

        def __class_getitem__(cls, item):
            return cls
