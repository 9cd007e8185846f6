"""The kernel's sockets as a wire."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import resource
import socket
import stat
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from mungos.errors import Misuse
from mungos.protocol import Buffer
from mungos.wires.contract import Address, Mover, about
from mungos.wires.poller import make_poller

__all__ = ["KernelWire"]

_RESET_ON_CLOSE = struct.pack("@ii", 1, 0)  # struct linger, the kernel's own layout
_IP_RECVERR = 11  # linux/in.h
_IPV6_RECVERR = 25  # linux/in6.h
_SOCK_EXTENDED_ERR = struct.Struct("@IBBBBII")  # linux/errqueue.h, the kernel's own layout
_MSG_ERRQUEUE: int = getattr(socket, "MSG_ERRQUEUE", 0)
_IOV_MAX = 512
_REMEMBERED = 4096
_MOST_HOSTS = 256  # remembered, as own or not
_NOT_OURS = {  # to any own address there is a way
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    errno.EHOSTUNREACH,
    errno.EINVAL,
    errno.ENETDOWN,
    errno.ENETUNREACH,
}


def _address(family: int, name: object) -> Address:
    """What getsockname and its like return, as an Address; mapped IPv4 is shown as what it is."""
    if family == socket.AF_UNIX:
        text = name if isinstance(name, str) else bytes(name).decode("utf-8", "surrogateescape")  # type: ignore[call-overload]
        return Address(text, 0, 0)
    if not isinstance(name, tuple):
        return Address("", 0, 4)
    host, port = name[0], name[1]
    if family == socket.AF_INET:
        return Address(host, port, 4)
    if host.startswith("::ffff:") and "." in host:
        return Address(host[7:], port, 4)
    if name[3] and "%" not in host:
        try:
            host += "%" + socket.if_indextoname(name[3])
        except OSError:
            host += f"%{name[3]}"
    return Address(host, port, 6)


def _sockaddr(
    address: Address, mapped: bool = False
) -> tuple[int, str | tuple[str, int] | tuple[str, int, int, int]]:
    """The family and the address in the form that the socket module takes."""
    if address.family == 0:
        return socket.AF_UNIX, address.host
    if address.family == 4:
        if mapped:
            return socket.AF_INET6, (f"::ffff:{address.host}", address.port, 0, 0)
        return socket.AF_INET, (address.host, address.port)
    host, _, scope = address.host.partition("%")
    number = 0
    if scope:
        try:
            number = int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
        except OSError:
            raise OSError(errno.ENODEV, f"there is no network interface {scope!r}") from None
    return socket.AF_INET6, (host, address.port, 0, number)


class _Holder:
    """What all endpoints share: one socket, released once, remembered by its inode for the census."""

    __slots__ = ("_socket", "_wire", "fd", "local")

    def __init__(self, wire: KernelWire, sock: socket.socket) -> None:
        self._wire = wire
        self._socket: socket.socket | None = sock
        self.fd = sock.fileno()
        self.local = _address(sock.family, sock.getsockname())
        wire.hold(self)

    def _held(self) -> socket.socket:
        if self._socket is None:
            raise OSError(errno.EBADF, "the endpoint is closed")
        return self._socket

    def close(self) -> None:
        sock = self._socket
        if sock is not None:
            self._socket = None
            self._wire.drop(self)
            # A reset that arrived meanwhile may surface here; the descriptor is released all the same.
            with contextlib.suppress(ConnectionError):
                sock.close()


class KernelStream(_Holder):
    """A connected or connecting stream socket."""

    __slots__ = ("recv_into", "remote", "send")

    def __init__(self, wire: KernelWire, sock: socket.socket, remote: Address) -> None:
        super().__init__(wire, sock)
        self.remote = remote
        self.recv_into: Mover = sock.recv_into
        self.send: Mover = sock.send

    def connected(self) -> OSError | None:
        sock = self._held()
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            return OSError(number, os.strerror(number))
        try:
            self.remote = _address(sock.family, sock.getpeername())
        except OSError as error:
            return error
        self.local = _address(sock.family, sock.getsockname())
        return None

    def send_parts(self, parts: Sequence[Buffer]) -> int:
        return self._held().sendmsg(parts[:_IOV_MAX])

    def shutdown_write(self) -> None:
        self._held().shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if self._socket is not None:
            super().close()
            self._detach()

    def reset(self) -> None:
        if self._socket is not None:
            if self._socket.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.close()

    def _detach(self) -> None:
        # The bound methods would keep the socket object alive.
        self.recv_into = _gone
        self.send = _gone


def _gone(_buffer: Buffer) -> int:
    raise OSError(errno.EBADF, "the endpoint is closed")


class KernelListener(_Holder):
    """A listening socket."""

    __slots__ = ("_path_inode",)

    def __init__(self, wire: KernelWire, sock: socket.socket) -> None:
        super().__init__(wire, sock)
        self._path_inode = 0
        if sock.family == socket.AF_UNIX and not self.local.host.startswith("\0"):
            self._path_inode = os.stat(self.local.host).st_ino

    def accept(self) -> KernelStream | None:
        listener = self._held()
        try:
            sock, name = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        try:
            sock.setblocking(False)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return KernelStream(self._wire, sock, _address(sock.family, name))
        except BaseException:
            sock.close()
            raise

    def close(self) -> None:
        if self._socket is not None and self._path_inode:
            with contextlib.suppress(OSError):
                if os.stat(self.local.host).st_ino == self._path_inode:
                    os.unlink(self.local.host)
        super().close()


class KernelDatagrams(_Holder):
    """A UDP socket. ICMP errors come through the error queue, with the peer that they concern."""

    __slots__ = ("_mapped", "remote")

    def __init__(self, wire: KernelWire, sock: socket.socket, remote: Address | None) -> None:
        super().__init__(wire, sock)
        self.remote = remote
        self._mapped = sock.family == socket.AF_INET6 and not sock.getsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_V6ONLY
        )
        if _MSG_ERRQUEUE:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            if sock.family == socket.AF_INET6:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)

    def receive(self) -> tuple[bytes, Address] | None:
        sock = self._held()
        try:
            data, name = sock.recvfrom(65536)
        except BlockingIOError:
            return None
        return data, _address(sock.family, name)

    def send_to(self, data: Buffer, peer: Address | None) -> bool:
        sock = self._held()
        try:
            if peer is None:
                sock.send(data)
            else:
                sock.sendto(data, _sockaddr(peer, self._mapped)[1])
        except BlockingIOError:
            return False
        return True

    def next_error(self) -> tuple[OSError, Address | None] | None:
        sock = self._held()
        if not _MSG_ERRQUEUE:
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            return (OSError(number, os.strerror(number)), self.remote) if number else None
        try:
            _, ancillary, _, name = sock.recvmsg(0, 512, _MSG_ERRQUEUE)
        except BlockingIOError:
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            return (OSError(number, os.strerror(number)), self.remote) if number else None
        number = errno.EIO
        for level, kind, data in ancillary:
            if (level, kind) in {
                (socket.IPPROTO_IP, _IP_RECVERR),
                (socket.IPPROTO_IPV6, _IPV6_RECVERR),
            } and len(data) >= _SOCK_EXTENDED_ERR.size:
                number = _SOCK_EXTENDED_ERR.unpack_from(data)[0]
        # The error also waits in SO_ERROR: reading it keeps the next call from failing a second time.
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return OSError(number, os.strerror(number)), _address(sock.family, name) if name else self.remote


class KernelWire:
    """Sockets of the kernel, watched by epoll where it is, else by the standard library's selectors."""

    name = "kernel"

    def __init__(self) -> None:
        self._poller = make_poller()
        # Reentrant: a signal's handler may wake in the middle of a wake.
        self._lock = threading.RLock()
        self._closed = False
        self._wake_read, self._wake_write = _wake_pair()
        # As sockets do, these warn and close when they are dropped with a wire that was never closed.
        self._wake_files = [io.FileIO(fd, "r+") for fd in {self._wake_read, self._wake_write}]
        self._poller.register(self._wake_read, 1)
        self._holders: dict[int, _Holder] = {}
        self._inodes: dict[int, str] = {}
        self._dropped: deque[int] = deque()
        self._own: dict[str, bool] = {}
        self.wake_fd = self._wake_read
        self.register = self._poller.register
        self.modify = self._poller.modify
        self.wait: Callable[[float | None], list[tuple[int, int]]] = self._poller.poll

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    random = staticmethod(os.urandom)

    # What is held, for the census and for forks.

    def hold(self, holder: _Holder) -> None:
        """Remember an endpoint from its creation on."""
        self._holders[holder.fd] = holder
        self._inodes[os.fstat(holder.fd).st_ino] = f"{type(holder).__name__} {holder.local}"

    def drop(self, holder: _Holder) -> None:
        """The endpoint is about to be released; its inode is watched for a while longer."""
        self._holders.pop(holder.fd, None)
        self._dropped.append(os.fstat(holder.fd).st_ino)
        if len(self._dropped) > _REMEMBERED:
            self._inodes.pop(self._dropped.popleft(), None)

    def descriptor_limit(self) -> int | None:
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return None if soft == resource.RLIM_INFINITY else soft

    def is_own(self, host: str) -> bool:
        own = self._own.get(host)
        if own is None:
            own = _is_own(host)
            if own is None:
                return True  # not known: what may be forged is dropped, and the next one is asked about anew
            if len(self._own) >= _MOST_HOSTS:
                del self._own[next(iter(self._own))]
            self._own[host] = own
        return own

    def strays(self) -> list[str]:
        found = []
        try:
            names = os.listdir("/proc/self/fd")
        except OSError:
            return []
        for name in names:
            with contextlib.suppress(OSError, ValueError):
                status = os.stat(f"/proc/self/fd/{name}")
                if stat.S_ISSOCK(status.st_mode) and status.st_ino in self._inodes:
                    found.append(f"descriptor {name}: {self._inodes[status.st_ino]}")
        return found

    # Endpoints.

    def connect(self, address: Address) -> KernelStream:
        family, name = _sockaddr(address)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = sock.connect_ex(name)
            if number not in {0, errno.EINPROGRESS}:
                raise OSError(number, os.strerror(number))
            return KernelStream(self, sock, address)
        except OSError:
            sock.close()
            raise

    def listen(self, address: Address, backlog: int, dual_stack: bool) -> KernelListener:
        with about(address):
            return self._listen(address, backlog, dual_stack)

    def _listen(self, address: Address, backlog: int, dual_stack: bool) -> KernelListener:
        family, name = _sockaddr(address)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if family == socket.AF_UNIX:
                _remove_stale(address.host)
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual_stack else 1)
            sock.bind(name)
            sock.listen(backlog)
            return KernelListener(self, sock)
        except OSError:
            sock.close()
            raise

    def datagrams(self, local: Address | None, remote: Address | None, dual_stack: bool) -> KernelDatagrams:
        target = local if local is not None else remote
        if target is None:
            raise Misuse("a datagram endpoint needs an address to bind or a peer to connect to")
        with about(target):
            return self._datagrams(target, local, remote, dual_stack)

    def _datagrams(
        self, target: Address, local: Address | None, remote: Address | None, dual_stack: bool
    ) -> KernelDatagrams:
        family, name = _sockaddr(target)
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual_stack else 1)
            if local is not None:
                sock.bind(name)
            if remote is not None:
                sock.connect(_sockaddr(remote)[1])
            return KernelDatagrams(self, sock, remote)
        except OSError:
            sock.close()
            raise

    def adopt(self, handle: object) -> KernelStream:
        if not isinstance(handle, socket.socket) or handle.type != socket.SOCK_STREAM:
            raise Misuse(f"adopt takes a connected stream socket, not {handle!r}")
        try:
            remote = _address(handle.family, handle.getpeername())
        except OSError as error:
            raise Misuse(f"adopt takes a connected stream socket: {error}") from error
        sock = socket.socket(handle.family, handle.type, handle.proto, handle.detach())
        sock.setblocking(False)
        sock.set_inheritable(False)
        return KernelStream(self, sock, remote)

    # Waiting.

    def unregister(self, fd: int) -> None:
        self._poller.unregister(fd)

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake_fd, 4096)

    def wake(self) -> None:
        with self._lock:
            if not self._closed:
                # A full pipe or counter already does what is wanted.
                with contextlib.suppress(BlockingIOError):
                    os.write(self._wake_write, b"\1\0\0\0\0\0\0\1")

    def fileno(self) -> int:
        return self._poller.fileno()

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._poller.unregister(self._wake_read)
            self._poller.close()
            for file in self._wake_files:
                file.close()

    def forked(self) -> None:
        # The poller is shared with the parent: nothing may be unregistered, only our copies released.
        self._lock = threading.RLock()
        for holder in list(self._holders.values()):
            sock, holder._socket = holder._socket, None
            if sock is not None:
                sock.close()
        self._holders.clear()
        if not self._closed:
            self._closed = True
            self._poller.close()
            for file in self._wake_files:
                file.close()


def _is_own(host: str) -> bool | None:
    """Whether it is an address of this machine; None where the kernel can't tell now."""
    # Connecting sends nothing: the kernel chooses the address to send from, and to itself that is the same.
    address = Address(host, 9, 6 if ":" in host else 4)
    try:
        family, name = _sockaddr(address)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(name)
            return _address(family, probe.getsockname()).host == host
    except OSError as error:
        # No descriptor, no memory, no permission: these say nothing of the address.
        return False if error.errno in _NOT_OURS else None


def _wake_pair() -> tuple[int, int]:
    if hasattr(os, "eventfd"):
        fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        return fd, fd
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    return read, write


def _remove_stale(path: str) -> None:
    """Remove a Unix socket's path that nobody listens on any more; leave everything else alone."""
    if path.startswith("\0") or not path:
        return
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) == errno.ECONNREFUSED:
            os.unlink(path)
