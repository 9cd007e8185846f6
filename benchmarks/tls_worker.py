"""`python -m benchmarks.tls_worker JOB.json`: one case in a process of its own, the result as a line of JSON.

Times are CPU time of this process, which holds both ends. In a timed case the contestants take turns, so
that a slow moment of the machine meets all of them.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.tls_ends import Contestant, Open, Wanted

__all__ = ["main", "measure", "operations_for"]

PAGE = os.sysconf("SC_PAGE_SIZE")
WARM_PAIRS = 5
MOST_OPERATIONS = 1_000_000


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


def contestant(name: str, wanted: Wanted, job: dict[str, Any]) -> Contestant:
    from benchmarks.tls_ends import Mungos, StandardLibrary
    from benchmarks.tls_peers import Aioquic, TlsLite

    if name == "mungos":
        return Mungos(wanted)
    if name == "ssl":
        return StandardLibrary(wanted, job["chain_file"], job["key_file"])
    return TlsLite(wanted) if name == "tlslite-ng" else Aioquic(wanted)


def operations_for(operation: Callable[[], object], seconds: float) -> int:
    """How many of these take about `seconds` of CPU time."""
    count = 1
    while True:
        spent = measure(operation, count)
        if spent >= seconds / 8 or count >= MOST_OPERATIONS:
            return max(1, min(MOST_OPERATIONS, int(count * seconds / max(spent, 1e-9))))
        count *= 2


def measure(operation: Callable[[], object], count: int) -> float:
    """CPU seconds for `count` of them."""
    turns = range(count)
    begun = time.process_time()
    for _ in turns:
        operation()
    return time.process_time() - begun


def operation_of(made: Contestant, job: dict[str, Any]) -> tuple[Callable[[], object], str]:
    """What is timed, checked once, and the suite that it runs under."""
    if job["kind"] == "full":
        first = made.handshake()
        first.both_ways(b"checked")
        return lambda: made.handshake().release(), first.suite
    if job["kind"] == "resumed":
        made.resume()
        second = made.resume()
        if not second.resumed:
            raise RuntimeError("a ticket was not used")
        second.both_ways(b"checked")
        return lambda: made.resume().release(), second.suite
    size, cut = int(job["size"]), int(job["cut"])
    session = made.handshake()
    session.both_ways(b"checked")
    data = os.urandom(size)

    def carried() -> None:
        if session.carry(data, cut) != size:
            raise RuntimeError("the session lost data")

    carried()
    return carried, session.suite


def timed(job: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    seconds = float(job["seconds"])
    operations: dict[str, tuple[Callable[[], object], int]] = {}
    rows: dict[str, dict[str, Any]] = {}
    for name in job["contestants"]:
        operation, suite = operation_of(contestant(name, wanted, job), job)
        operations[name] = operation, operations_for(operation, seconds)
        rows[name] = {"suite": suite, "operations": operations[name][1], "rounds": []}
    names = list(operations)
    for number in range(int(job["rounds"])):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            operation, count = operations[name]
            gc.collect()
            rows[name]["rounds"].append(measure(operation, count) / count)
    return rows


def held(job: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    """Bytes that one end of an open session holds, by this process's resident memory."""
    (name,) = job["contestants"]
    made = contestant(name, wanted, job)
    # What is loaded or kept once for all sessions is there before the counting; these stay, so that nothing
    # of what they leave is used again.
    first = [opened(made) for _ in range(WARM_PAIRS)]
    gc.collect()
    if job["traced"]:
        tracemalloc.start()
    count = tracemalloc.get_traced_memory if job["traced"] else lambda: (resident(), 0)
    before = count()[0]
    sessions = [opened(made) for _ in range(int(job["pairs"]))]
    gc.collect()
    after = count()[0]
    return {name: {"suite": first[0].suite, "rounds": [(after - before) / (2 * len(sessions))]}}


def opened(made: Contestant) -> Open:
    """A session over which data went both ways."""
    session = made.handshake()
    session.both_ways(b"0123456789abcdef" * 64)
    return session


def main(arguments: list[str]) -> int:
    """Run the job in the file that `arguments` names."""
    job = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    # OpenSSL reads its configuration when it is loaded, which the imports below do.
    if job["openssl_conf"]:
        os.environ["OPENSSL_CONF"] = job["openssl_conf"]
    from benchmarks.tls_ends import StandardLibrary, Wanted

    chain, key = (Path(job[name]).read_bytes() for name in ("chain_file", "key_file"))
    roots = Path(job["roots_file"]).read_bytes()
    # Whatever `ssl` settles on is what the others have to use.
    reference = StandardLibrary(Wanted(roots, chain, key, job["suite"]), job["chain_file"], job["key_file"])
    wanted = Wanted(roots, chain, key, reference.handshake().suite)
    print(json.dumps(held(job, wanted) if job["kind"] == "memory" else timed(job, wanted)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
