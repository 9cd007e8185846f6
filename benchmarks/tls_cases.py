"""What the TLS benchmark measures, and the targets that `--check` holds it to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CASES", "PEERS", "REFERENCE", "SUBJECT", "TARGETS", "Case", "Target"]

SUBJECT = "mungos"
REFERENCE = "ssl"
PEERS = ("tlslite-ng", "aioquic")

Kind = Literal["full", "resumed", "write", "memory"]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is measured.

    Attributes:
        kind: "full" and "resumed" handshakes, "write" for data, "memory" for what an open session holds.
        size: bytes of plaintext in one write, 0 where nothing is written.
        cut: bytes of ciphertext that are handed over at a time, 0 for whatever the writer gives.
        contestants: who takes part, the subject first.
    """

    name: str
    title: str
    kind: Kind
    size: int = 0
    cut: int = 0
    contestants: tuple[str, ...] = (SUBJECT, REFERENCE)


@dataclass(frozen=True, slots=True)
class Target:
    """`--check`: the subject's figure ÷ the reference's, within `bound`.

    Attributes:
        figure: "time" (CPU), "throughput" (its inverse) or "memory".
        most: whether the ratio may be `bound` at most; else it must be at least that.
    """

    case: str
    figure: Literal["time", "throughput", "memory"]
    bound: float
    most: bool


CASES: tuple[Case, ...] = (
    Case("full", "full handshake, both ends", "full", contestants=(SUBJECT, REFERENCE, *PEERS)),
    Case("resumed", "resumed handshake and one new ticket, both ends", "resumed"),
    Case(
        "write-16k",
        "16 KiB written, carried, read",
        "write",
        16 * 1024,
        contestants=(SUBJECT, REFERENCE, "tlslite-ng"),
    ),
    Case("write-256k", "256 KiB written, carried, read", "write", 256 * 1024),
    Case("write-256k-cut", "256 KiB, carried in pieces of 64 KiB", "write", 256 * 1024, cut=64 * 1024),
    Case("write-64", "64 B written, carried, read", "write", 64),
    Case("memory", "memory of one end of an open session", "memory"),
)

TARGETS: tuple[Target, ...] = (
    Target("full", "time", 1.0, most=True),
    Target("resumed", "time", 0.8, most=True),
    Target("write-16k", "throughput", 1.2, most=False),
    Target("write-256k", "throughput", 1.3, most=False),
    Target("write-64", "throughput", 0.6, most=False),
    Target("memory", "memory", 0.5, most=True),
)
