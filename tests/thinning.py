"""On an emulated processor a loop over every byte takes minutes: there it takes every STRIDE-th, and a crowd
is a STRIDE-th of what it is natively.

What differs between processors (byte order, word size, the numbers of errors) shows itself at any offset;
every single one is tried natively.
"""

from __future__ import annotations

import os

__all__ = ["STRIDE"]

STRIDE = 7 if os.environ.get("MUNGOS_HYPOTHESIS_PROFILE") == "s390x" else 1
