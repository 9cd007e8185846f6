"""Who holds the other end, where the kernel does not say."""

from __future__ import annotations

from dataclasses import replace

from mungos.lab.facts import Descriptor
from mungos.lab.findings.scene import scene_of
from tests.lab.findings.scenes import case, process, thread, unix_pair


def halves(*inodes: int, known: bool = False) -> list[Descriptor]:
    """Unnamed socket ends with these numbers, whose peers are not told."""
    found = []
    for number, inode in enumerate(inodes, 10):
        near, _ = unix_pair((100, number), (200, number))
        assert near.socket is not None
        socket = replace(near.socket, inode=inode, others=(), peer_known=known)
        found.append(replace(near, number=number, socket=socket))
    return found


def opposite_of_each(ends: list[Descriptor]) -> list[list[int]]:
    """The descriptors at the other end of each."""
    scene = scene_of(case(process(thread("pause"), descriptors=ends)))
    return [[held.descriptor for held in scene.opposite(each)] for each in ends]


def test_the_halves_of_a_pair_have_neighbouring_numbers() -> None:
    assert opposite_of_each(halves(500, 501)) == [[11], [10]]
    assert opposite_of_each(halves(500, 501, 502, 503)) == [[11], [10], [13], [12]]


def test_nothing_is_guessed_where_it_is_not_plain() -> None:
    assert opposite_of_each(halves(500, 501, 502)) == [[], [], []]
    assert opposite_of_each(halves(500, 502)) == [[], []]
    assert opposite_of_each(halves(500, 501, known=True)) == [[], []]
