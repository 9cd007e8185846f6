"""A thread that is no daemon is left: the process never exits."""

from __future__ import annotations

import queue
import sys
import threading


def work(jobs: queue.SimpleQueue[str | None]) -> None:
    """Do what comes, until None comes."""
    while (job := jobs.get()) is not None:
        print(job, flush=True)


def main(repaired: bool) -> int:
    """Have one thing done."""
    jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=work, args=(jobs,), name="worker").start()
    jobs.put("done")
    if repaired:
        jobs.put(None)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
