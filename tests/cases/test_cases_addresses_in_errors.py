"""The system's refusal names the address that it is about, and keeps its class and its number."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from mungos import Manager
from mungos.wires import MemoryNetwork
from tests.cases.world import Notes, World


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_an_address_in_use_is_named(world: World, scheme: str) -> None:
    manager = world.manager()
    url = manager.listen(f"{scheme}://127.0.0.1:0", Notes()).url
    with pytest.raises(OSError, match=rf"Address already in use: '127\.0\.0\.1:{url.port}'$") as refused:
        manager.listen(url, Notes())
    assert refused.value.errno == errno.EADDRINUSE


def test_a_socket_in_no_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "x"
    with Manager() as manager:
        with pytest.raises(FileNotFoundError, match=f"No such file or directory: 'unix:{path}'$"):
            manager.listen(f"unix://{path}", Notes())
        manager.close(0)


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_an_address_of_somebody_else_is_named(scheme: str) -> None:
    with Manager() as manager:
        with pytest.raises(OSError, match=r": '192\.0\.2\.1:80'$") as refused:
            manager.listen(f"{scheme}://192.0.2.1:80", Notes())
        assert refused.value.errno == errno.EADDRNOTAVAIL
        manager.close(0)


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_an_interface_that_is_none_is_named(scheme: str) -> None:
    with Manager() as manager:
        with pytest.raises(OSError, match=r"no network interface 'nosuch0': '\[fe80::1%nosuch0\]:80'$"):
            manager.listen(f"{scheme}://[fe80::1%25nosuch0]:80", Notes())
        manager.close(0)


def test_a_descriptor_that_is_missing_is_missing_for_an_address() -> None:
    network = MemoryNetwork()
    with Manager(network.wire()) as manager:
        network.descriptors_left = 0
        for scheme in ("tcp", "udp"):
            with pytest.raises(OSError, match=r": '127\.0\.0\.1:\d+'$") as refused:
                manager.listen(f"{scheme}://127.0.0.1:9", Notes())
            assert refused.value.errno == errno.EMFILE
        manager.close(0)


def test_datagrams_that_cannot_be_sent_say_where() -> None:
    notes = Notes()
    with Manager() as manager:
        connection = manager.connect("udp://[fe80::1%25nosuch0]:80", notes)
        assert "no network interface 'nosuch0': '[fe80::1%nosuch0]:80'" in str(connection.reason)
        manager.close(0)
