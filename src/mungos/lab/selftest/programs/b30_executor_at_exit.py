"""At exit the executor waits for its worker before the handler runs that would stop it."""

from __future__ import annotations

import atexit
import queue
import sys
import threading
from concurrent.futures import ThreadPoolExecutor


def work(jobs: queue.SimpleQueue[str | None]) -> None:
    """Do what comes, until None comes."""
    while (job := jobs.get()) is not None:
        print(job, flush=True)


def main(repaired: bool) -> int:
    """Have one thing done, and leave the rest to the handlers of the exit."""
    jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    executor = ThreadPoolExecutor(1)
    executor.submit(work, jobs)
    jobs.put("done")
    if repaired:
        jobs.put(None)
        executor.shutdown()
    else:
        atexit.register(jobs.put, None)
    return threading.active_count() == 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
