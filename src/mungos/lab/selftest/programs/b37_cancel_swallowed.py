"""The task is cancelled, takes that for just another failure, and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def work(jobs: asyncio.Queue[str], repaired: bool) -> None:
    """Do what comes."""
    while True:
        try:
            print(await jobs.get(), flush=True)
        except asyncio.CancelledError:
            if repaired:
                raise
        finally:
            await asyncio.sleep(0)


async def main(repaired: bool) -> int:
    """Have one thing done, then stop the worker."""
    jobs: asyncio.Queue[str] = asyncio.Queue()
    worker = asyncio.create_task(work(jobs, repaired), name="worker")
    await jobs.put("done")
    for _ in range(4):
        await asyncio.sleep(0)
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main("repaired" in sys.argv)))
