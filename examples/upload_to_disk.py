"""PUT bodies into files: a thread writes, and nobody is read from faster than the disk takes it.

python examples/upload_to_disk.py [http://127.0.0.1:8080/ [FOLDER]], then curl -T FILE http://127.0.0.1:8080/
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from mungos import Closed, Manager
from mungos.http import Data, EndOfMessage, HTTPLimits, Request
from mungos.http.attach import ServerConnection, listen

HIGH, LOW = 1024 * 1024, 256 * 1024  # bytes that wait for the disk: when to pause, when to go on
DISK = ThreadPoolExecutor(max_workers=1)


class Upload:
    """One body on its way to a file, which gets its name when all of it came, and vanishes if not."""

    def __init__(self, session: ServerConnection, folder: str) -> None:
        self.session, self.waiting = session, 0
        self.file = tempfile.NamedTemporaryFile(dir=folder, prefix="upload-")  # noqa: SIM115

    def add(self, data: bytes | None) -> None:
        self.waiting += len(data or b"")
        if self.waiting > HIGH:
            self.session.connection.pause()
        DISK.submit(self.on_disk, data)

    def on_disk(self, data: bytes | None) -> None:
        """In the disk's thread, from where `abort` and `call_soon` may be called, and nothing else."""
        try:
            if data is not None:
                self.file.write(data)
            else:
                self.file.flush()
                os.link(self.file.name, self.file.name + ".complete")
        except OSError as error:
            self.session.connection.abort(str(error))
        self.session.connection.manager.call_soon(self.done, data)

    def done(self, data: bytes | None) -> None:
        self.waiting -= len(data or b"")
        if self.waiting <= LOW:
            self.session.connection.resume()
        if data is None and not self.session.ended:
            self.session.respond(201, f"{self.file.name}.complete\n".encode())


def main(url: str = "http://127.0.0.1:8080/", folder: str = tempfile.gettempdir()) -> int:
    """Serve until SIGINT or SIGTERM; an upload under way may be finished within the close's deadline."""

    def on_event(session: ServerConnection, event: object) -> None:
        upload = session.user
        if isinstance(event, Request) and event.method == "PUT":
            session.user = Upload(session, folder)
        elif isinstance(event, Request):
            session.respond(405, b"PUT only\n", (("Allow", "PUT"),))
        elif isinstance(upload, Upload) and isinstance(event, Data | EndOfMessage):
            upload.add(event.data if isinstance(event, Data) else None)
        elif isinstance(upload, Upload) and isinstance(event, Closed):
            DISK.submit(upload.file.close)

    manager = Manager()
    listener = listen(manager, url, on_event, http_limits=HTTPLimits(max_body=None))
    print("listening at", listener.url, flush=True)
    report = manager.run()
    DISK.shutdown()
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
