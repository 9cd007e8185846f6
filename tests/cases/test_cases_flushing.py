"""What is queued goes out, however it is divided among turns."""

from __future__ import annotations

from mungos import Connection, Limits
from tests.cases.world import Notes, World


def test_output_goes_on_when_a_turn_ends_with_a_piece_after_the_wire_was_full(world: World) -> None:
    # The budget of a turn may end just where a piece does, on a connection that waits to be writable.
    pieces = 4
    size = 300_000

    def send_all(face: object, _event: object) -> None:
        assert isinstance(face, Connection)
        for _ in range(pieces):
            face.send(bytes(size))

    client = Notes(Opened=send_all)
    manager = world.manager(Limits(bytes_per_turn=1))
    listener = world.listener()
    manager.connect(listener.url, client)
    peer = world.accept(listener)
    world.run(lambda: len(peer.received) == pieces * size)
