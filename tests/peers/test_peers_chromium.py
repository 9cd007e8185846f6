"""A browser: a page over HTTPS from `mungos serve`, whose script talks WSS to `mungos echo`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from tests.cli.programs import server

pytestmark = pytest.mark.foreign("chromium")

# The browser dumps the page at its load event, which waits for every frame: one is held open until the end.
PAGE = """<!doctype html>
<meta charset="utf-8">
<title>echo</title>
<pre id="result">nothing yet</pre>
<script>
const hold = document.body.appendChild(document.createElement("iframe"));
hold.contentDocument.open();
const seen = [];
const socket = new WebSocket("%s");
socket.binaryType = "arraybuffer";
socket.onopen = () => {
  socket.send("text é 中 \\u{1f600}");
  socket.send(new Uint8Array(70000).map((_, i) => i %% 251));
  socket.send("");
};
socket.onmessage = (event) => {
  if (typeof event.data === "string") seen.push(event.data);
  else {
    const bytes = new Uint8Array(event.data);
    seen.push([bytes.length, bytes.every((byte, i) => byte === i %% 251)]);
  }
  if (seen.length === 3) socket.close(4321, "enough");
};
socket.onclose = (event) => {
  seen.push([event.code, event.reason, event.wasClean]);
  document.getElementById("result").textContent = JSON.stringify(seen);
  hold.contentDocument.close();
};
</script>
"""


@pytest.mark.timeout(30)
@pytest.mark.parametrize("engine", ["builtin", "openssl"])
def test_chromium_loads_a_page_and_talks_over_a_websocket(
    foreign_program: Callable[[str], str], tmp_path: Path, short_folder: Path, engine: str
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    tls = ("--tls-engine", engine)
    with server("serve", site, "--listen", "https://localhost:0", *tls) as serving:
        origin = serving.urls[0].rstrip("/")
        listen = ("--listen", "wss://localhost:0", "--allow-origin", origin)
        with server("echo", *listen, *tls) as echoing:
            (site / "index.html").write_text(PAGE % echoing.urls[0], encoding="utf-8")
            hashes = [made.facts["public key hash (SHA-256 of SPKI)"] for made in (serving, echoing)]
            dom = dumped(foreign_program("chromium"), short_folder, serving.urls[0], hashes)
    found = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert found is not None, dom
    assert json.loads(unescape(found[1])) == [
        "text é 中 \U0001f600",
        [70000, True],
        "",
        [4321, "", True],
    ]
    assert " GET / 200 " in serving.errors()


def dumped(program: str, folder: Path, url: str, hashes: list[str]) -> str:
    """The page as it stands at its load event, or after 8 seconds."""
    command = [
        program,
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--disable-dev-shm-usage", "--disable-extensions", "--no-proxy-server"),
        f"--user-data-dir={folder / 'profile'}",
        f"--ignore-certificate-errors-spki-list={','.join(hashes)}",
        "--timeout=8000",
        "--dump-dom",
        url,
    ]
    environment = os.environ | {"HOME": str(folder), "TMPDIR": str(folder), "XDG_CONFIG_HOME": str(folder)}
    # In a group of its own: what the browser starts ends with it.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    ) as browser:
        try:
            out, _ = browser.communicate(timeout=20)
        finally:
            if browser.poll() is None:
                os.killpg(browser.pid, signal.SIGKILL)
    return out.decode("utf-8", "replace")
