"""Passes output on, byte by byte as it came, and never waits for who reads it.

The clocks of a run go on while its output is being passed on. So nothing here blocks: what can't be written
now is kept; when too much is kept, the command's own pipes are left full for a while; and when the reader
takes nothing for that while, what comes is left out, and it is said where.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time

__all__ = ["HELD_LIMIT", "Passage"]

HELD_LIMIT = 1 << 20  # bytes kept for a reader that is slow
_MOST_KEPT = 8 << 20  # bytes kept when even so it comes on: what was in pipes when the command ended
_NEVER = 1 << 62
_PIECE = 65536  # bytes of one write
_SURE = 512  # bytes that POSIX lets a pipe take at once when it says that it is ready


class _Target:
    """One descriptor to write to, and what waits for it."""

    __slots__ = (
        "_kind",
        "_own",
        "at_line_start",
        "descriptor",
        "error",
        "left_out",
        "moved",
        "omitted",
        "parts",
        "size",
    )  # fmt: skip

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.parts: list[memoryview] = []
        self.size = 0
        self.moved = time.monotonic()  # when it last took something, or had nothing to take
        self.left_out = 0  # bytes, of all
        self.omitted = 0  # bytes that stand between what is kept and what comes
        self.error = ""  # why nothing is written any more
        self.at_line_start = True
        self._own = -1
        try:
            mode = os.fstat(descriptor).st_mode
        except OSError as problem:
            self._kind, self.error = "", problem.strerror or str(problem)
            return
        self._kind = "socket" if stat.S_ISSOCK(mode) else "file"
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            # An open file of our own: another one's O_NONBLOCK would surprise whoever shares it.
            try:
                self._own = os.open(
                    f"/proc/self/fd/{descriptor}",
                    os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC,
                )
            except OSError:
                self._kind = "slow"

    def close(self) -> None:
        """Let go of what was opened here."""
        if self._own >= 0:
            os.close(self._own)
            self._own = -1

    @property
    def number(self) -> int:
        """The descriptor to poll and to write to."""
        return self._own if self._own >= 0 else self.descriptor

    def write(self, data: memoryview) -> int:
        """Write what it takes now, which may be nothing."""
        if self._kind == "socket":
            import socket  # noqa: PLC0415 - the exception

            with socket.socket(fileno=os.dup(self.descriptor)) as copy:
                return copy.send(data, socket.MSG_DONTWAIT)
        if self._kind == "slow":
            poll = select.poll()
            poll.register(self.descriptor, select.POLLOUT)
            return os.write(self.descriptor, data[:_SURE]) if poll.poll(0) else 0
        return os.write(self.number, data)

    def push(self) -> None:
        """Write of what is kept as much as it takes."""
        try:
            while self.parts:
                part = self.parts[0]
                count = self.write(part[:_PIECE])
                if count == 0:
                    return
                self.moved = time.monotonic()
                self.size -= count
                if count == len(part):
                    del self.parts[0]
                else:
                    self.parts[0] = part[count:]
        except BlockingIOError:
            return
        except OSError as problem:
            self.drop()
            # A reader that has gone (as `head` does) wants no more, and nobody needs to be told.
            self.error = "" if problem.errno == errno.EPIPE else problem.strerror or str(problem)
            self._kind = ""

    def drop(self) -> None:
        """Give up what is kept."""
        self.left_out += self.size
        self.parts.clear()
        self.size = 0

    @property
    def usable(self) -> bool:
        """Whether anything is written at all."""
        return self._kind != ""

    def keep(self, data: bytes) -> None:
        """Add to what waits."""
        if not self.parts:
            self.moved = time.monotonic()
        self.parts.append(memoryview(data))
        self.size += len(data)


class Passage:
    """From the command's streams to descriptors of the lab's.

    Args:
        targets: descriptor by stream ("stdout", "stderr", "terminal").
        patience: seconds without the reader taking anything, after which it is left out.
        timed: before each line stands when its first byte came.
    """

    __slots__ = ("_patience", "_streams", "_targets", "_timed")

    def __init__(self, targets: dict[str, int], patience: float, *, timed: bool = False) -> None:
        self._patience = patience
        self._timed = timed
        self._targets = {number: _Target(number) for number in dict.fromkeys(targets.values())}
        self._streams = {stream: self._targets[number] for stream, number in targets.items()}

    def take(self, at: float, stream: str, data: bytes) -> None:
        """Pass this on.

        Args:
            at: seconds since the attempt began.
            stream: where it came from.
            data: what came.
        """
        target = self._streams.get(stream)
        if target is None or not data or not target.usable:
            return
        if target.size >= HELD_LIMIT and (self._stuck(target) or target.size >= _MOST_KEPT):
            target.left_out += len(data)
            target.omitted += len(data)
            return
        if target.omitted:
            note = f"mungos lab: {target.omitted} bytes are left out here: nobody read them in time\n"
            target.keep(("" if target.at_line_start else "\n").encode() + note.encode())
            target.omitted, target.at_line_start = 0, True
        target.keep(self._with_times(at, stream, data, target) if self._timed else data)
        target.at_line_start = data.endswith(b"\n")
        target.push()

    @staticmethod
    def _with_times(at: float, stream: str, data: bytes, target: _Target) -> bytes:
        mark = f"{at:9.3f} {'! ' if stream == 'stderr' else '  '}".encode()
        ended = data.endswith(b"\n")
        body = (data[:-1] if ended else data).replace(b"\n", b"\n" + mark)
        return (mark if target.at_line_start else b"") + body + (b"\n" if ended else b"")

    def _stuck(self, target: _Target) -> bool:
        return time.monotonic() - target.moved > self._patience

    def waiting(self) -> list[int]:
        """Descriptors that have to be polled for POLLOUT."""
        return [target.number for target in self._targets.values() if target.size]

    def push(self) -> None:
        """Write what can be written by now."""
        for target in self._targets.values():
            target.push()

    def held(self, stream: str) -> bool:
        """Whether no more should be read of this stream for now."""
        target = self._streams.get(stream)
        return target is not None and target.size >= HELD_LIMIT and not self._stuck(target)

    def patience(self) -> float:
        """Seconds until a reader that takes nothing is given up; very many when there is none."""
        now = time.monotonic()
        ends = [t.moved + self._patience - now for t in self._targets.values() if t.size >= HELD_LIMIT]
        return min((max(end, 0.0) + 0.001 for end in ends if end > 0), default=_NEVER)

    def line_start(self, stream: str) -> None:
        """End the line that was begun there, if one was."""
        target = self._streams[stream]
        if not target.at_line_start:
            target.at_line_start = True
            if target.usable:
                target.keep(b"\n")
                target.push()

    def finish(self) -> list[str]:
        """Wait until all is written, as long as the readers go on reading.

        Returns:
            What was not written, and why, a sentence for each descriptor.
        """
        told = []
        for target in self._targets.values():
            poll = select.poll()
            poll.register(target.number, select.POLLOUT)
            while target.size:
                left = target.moved + self._patience - time.monotonic()
                if left <= 0:
                    target.drop()
                elif poll.poll(left * 1000):
                    target.push()
                    if target.size and not target.usable:
                        target.drop()
            if target.error:
                told.append(f"output can't be passed on to descriptor {target.descriptor}: {target.error}")
            elif target.left_out and target.usable:
                told.append(
                    f"{target.left_out} bytes of output were not passed on to descriptor "
                    f"{target.descriptor}: nobody read them for {self._patience:g} s"
                )
            target.left_out = 0
            target.error = ""
        return told

    def close(self) -> None:
        """Let go of what was opened here."""
        for target in self._targets.values():
            target.close()
