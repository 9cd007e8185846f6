"""The server stops listening, but only in its own tables: who connects is neither accepted nor refused."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys


class Server:
    """Listens on two ports; the first can be closed."""

    def __init__(self, public: socket.socket, private: socket.socket) -> None:
        self.public = public
        self.private = private
        self.poller = select.epoll()
        self.poller.register(public, select.EPOLLIN)
        self.poller.register(private, select.EPOLLIN)

    def stop(self, repaired: bool) -> None:
        """Take no more connections on the public port."""
        self.poller.unregister(self.public)
        if repaired:
            self.public.close()

    def run(self) -> None:
        """Accept until a signal comes."""
        while True:
            self.poller.poll()
            self.private.accept()


def main(repaired: bool) -> int:
    """Connect to a server that is stopping."""
    public = socket.create_server(("127.0.0.1", 0))
    private = socket.create_server(("127.0.0.1", 0))
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        server = Server(public, private)
        server.stop(repaired)
        os.close(done)
        server.run()
    address = public.getsockname()
    public.close()
    private.close()
    os.close(done)
    os.read(ready, 1)
    try:
        with socket.create_connection(address) as client:
            client.send(b"hello")
            print(client.recv(100))
    except ConnectionRefusedError as error:
        print(error)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))
