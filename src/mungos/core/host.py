"""How a manager lives inside another event loop."""

from __future__ import annotations

from typing import Protocol as Contract

__all__ = ["Host"]


class Host(Contract):
    """Another loop that drives a manager.

    The host watches `Manager.fileno()` for readability and keeps one timer; when either fires it calls
    `Manager.turn(now)`, and nothing else.
    """

    def wake_at(self, when: float) -> None:
        """Call `turn` at this instant: at once if it has passed, never if it is infinite.

        The clock is the manager's, `time.monotonic` on the kernel's wire. A later call replaces an earlier
        one. Called on the manager's thread.
        """
