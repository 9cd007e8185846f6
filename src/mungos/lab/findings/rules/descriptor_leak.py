"""A process keeps many descriptors of one kind that it has no more use for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, listing
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Close a connection on every way out, failures of the handshake and lost races included (with, "
    "try/finally); an end read (0 bytes) means: close."
)

_ENDED = 8  # connections whose peer has closed: that many are no accident
_FULL = 0.9  # of the limit


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        ended = [e for e in process.descriptors if e.socket is not None and e.socket.state == "CLOSE_WAIT"]
        limit, used = process.descriptor_limit, len(process.descriptors)
        full = limit is not None and used >= _FULL * limit
        if len(ended) < _ENDED and not full:
            continue
        kinds = Counter(
            e.socket.state if e.socket is not None else e.target if e.kind == "file" else e.kind
            for e in process.descriptors
        )
        yield found(
            case,
            RULE.name,
            f"{len(ended)} connections stand in CLOSE_WAIT: their peers have closed, this process has not"
            if len(ended) >= _ENDED
            else f"{used} of {limit} descriptors are used",
            process,
            process.threads[0] if process.threads else None,
            evidence=(
                f"{used} descriptors of at most {limit}",
                f"most of: {listing(f'{count} {name}' for name, count in kinds.most_common(4))}",
                *(
                    f"descriptor {e.number}: {e.socket.local} to {e.socket.remote}"
                    for e in ended[:3]
                    if e.socket
                ),
            ),
            advice=ADVICE,
        )


RULE = Rule(
    "descriptor-leak", "a process keeps many descriptors that it has no more use for (CLOSE_WAIT)", _examine
)
