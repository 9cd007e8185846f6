"""What every lifecycle case owes, as the kit has it. `test_cases_core_oracles.py` shows each of them fail."""

from __future__ import annotations

from mungos.testing.tls.oracles import (
    ANY_BREAK,
    Crowd,
    ended,
    exact_prefix,
    no_residue,
    one_verdict,
    quiet,
)

__all__ = ["ANY_BREAK", "Crowd", "ended", "exact_prefix", "no_residue", "one_verdict", "quiet"]
