"""Bodies into files; a thread writes, and nobody is read from faster than the disk takes it.

python examples/upload_to_disk.py [http://127.0.0.1:8080/ [FOLDER]], then curl -T FILE http://127.0.0.1:8080/
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from mungos import Closed, Manager
from mungos.http import Data, EndOfMessage, HTTPLimits, Request, ServerConnection, listen

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/"
FOLDER = sys.argv[2] if len(sys.argv) > 2 else tempfile.gettempdir()
HIGH, LOW = 1024 * 1024, 256 * 1024  # bytes that wait for the disk: when to pause, when to go on
DISK = ThreadPoolExecutor(max_workers=1)


class Upload:
    """One body on its way to a file, which gets its name when all of it came, and vanishes if not."""

    def __init__(self, session: ServerConnection) -> None:
        self.connection, self.session, self.waiting = session.connection, session, 0
        self.file = tempfile.NamedTemporaryFile(dir=FOLDER, prefix="upload-")  # noqa: SIM115

    def add(self, data: bytes) -> None:
        """The next piece; an empty one stands for the end."""
        self.waiting += len(data)
        if self.waiting > HIGH:
            self.connection.pause()
        DISK.submit(self.on_disk, data)

    def on_disk(self, data: bytes) -> None:
        """In the disk's thread, where only `call_soon`, `close` and `abort` are legal."""
        try:
            self.file.write(data)
            if not data:
                self.file.flush()
                os.link(self.file.name, self.file.name + ".complete")
        except OSError as error:
            self.connection.abort(str(error))
        self.connection.manager.call_soon(self.done, data)

    def done(self, data: bytes) -> None:
        """In the manager's thread again."""
        self.waiting -= len(data)
        if self.waiting <= LOW:
            self.connection.resume()
        if not data and not self.session.ended:
            self.session.respond(201, f"{self.file.name}.complete\n".encode())


def on_event(session: ServerConnection, event: object) -> None:
    """One body at a time; whatever becomes of it, its temporary file is closed, and thereby removed."""
    upload = session.user
    if isinstance(event, Request | Closed) and isinstance(upload, Upload):
        DISK.submit(upload.file.close)
    if isinstance(event, Request):
        session.user = Upload(session)
    elif isinstance(event, Data | EndOfMessage) and isinstance(upload, Upload):
        upload.add(event.data if isinstance(event, Data) else b"")


if __name__ == "__main__":
    with DISK, Manager() as manager:
        server = listen(manager, URL, on_event, http_limits=HTTPLimits(max_body=None))
        print("listening at", server.url, flush=True)
        print(report := manager.run())
    sys.exit(0 if report.ok else 1)
