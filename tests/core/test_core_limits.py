"""Bounds: every one positive, and in an order that makes sense."""

from __future__ import annotations

import re
from dataclasses import fields

from mungos.core.limits import Limits


def test_no_deadline_for_stopping_is_ever_none() -> None:
    limits = Limits()
    for name in ("close_within", "linger", "connect_within", "resolve_within", "rate_window"):
        assert isinstance(getattr(limits, name), float)
        assert getattr(limits, name) > 0


def test_marks_are_in_order() -> None:
    limits = Limits()
    assert 0 < limits.send_low < limits.send_high < limits.send_hard


def test_every_limit_is_documented() -> None:
    assert Limits.__doc__ is not None
    for field in fields(Limits):
        assert re.search(rf"^ +{field.name}: ", Limits.__doc__, re.MULTILINE), field.name
