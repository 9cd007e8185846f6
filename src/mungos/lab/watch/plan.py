"""What the lab hands to its keeper, as bytes."""

from __future__ import annotations

import marshal

__all__ = ["Plan"]


class Plan:
    """What the lab hands to its keeper.

    Args:
        command: program and arguments.
        environment: all of the command's.
        directory: where it runs; None for the lab's own.
        isolated: in namespaces of its own.
        private: its network namespace is its own as well.
        pid1: it is process 1 of its namespace.
        terminal: the first of `streams` is a terminal, and becomes the controlling one.
        streams: descriptors of its standard input, output and error.
        status: descriptor for the keeper's lines.
        lifeline: descriptor that ends when the lab does.
        lab: process number of the lab.
        workspace: path of the run's own directory, to be removed when the lab could not do it.
        folder, place: descriptors of it, and of the directory in which it stands.
        word: how each of the keeper's lines begins: the command may find the pipe, but does not know it.
    """

    __slots__ = (
        "command", "directory", "environment", "folder", "isolated", "lab", "lifeline", "pid1", "place",
        "private", "status", "streams", "terminal", "word", "workspace",
    )  # fmt: skip

    def __init__(
        self, command: list[bytes], environment: dict[bytes, bytes], directory: bytes | None, *,
        isolated: bool, private: bool, pid1: bool, terminal: bool, streams: tuple[int, int, int],
        status: int, lifeline: int, lab: int, workspace: bytes, folder: int, place: int, word: str,
    ) -> None:  # fmt: skip
        self.command = command
        self.environment = environment
        self.directory = directory
        self.isolated = isolated
        self.private = private
        self.pid1 = pid1
        self.terminal = terminal
        self.streams = streams
        self.status = status
        self.lifeline = lifeline
        self.lab = lab
        self.workspace = workspace
        self.folder = folder
        self.place = place
        self.word = word

    def pack(self) -> bytes:
        """As bytes that the same interpreter reads."""
        return marshal.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def unpack(cls, data: bytes) -> Plan:
        """From `pack`."""
        return cls(**marshal.loads(data))  # noqa: S302 - from the lab itself, by a descriptor of its own
