"""A headless Chromium as a few functions: open a page, wait for its words, photograph it.

Spoken to over its own debugging protocol, so that nothing has to be installed beside the browser.
"""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]
PATIENCE_SECONDS = 60.0


class Page:
    """One tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The browser's answer to one command."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.recv(timeout=PATIENCE_SECONDS))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script: str) -> Any:
        """The value of a script in the page."""
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def open(self, url: str, *words: str) -> str:
        """Go to an address and wait until the page shows all the words; its text."""
        self.ask("Page.navigate", url=url)
        return self.wait(*words)

    def wait(self, *words: str) -> str:
        """Wait until the page shows all the words; its text."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            text = self.run("document.body ? document.body.innerText : ''") or ""
            missing = [word for word in words if word not in text]
            if not missing:
                return text
            assert time.monotonic() < deadline, f"{missing} never came up in:\n{text}"
            time.sleep(0.1)

    def click(self, text: str, tag: str = "*") -> None:
        """Click the last element that has exactly this text."""
        script = (
            f"(e => e ? (e.click(), true) : false)([...document.querySelectorAll({json.dumps(tag)})]"
            f".filter(e => e.textContent.trim() === {json.dumps(text)} && e.offsetParent !== null).pop())"
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.run(script):
            assert time.monotonic() < deadline, f"there is no {text!r} to click"
            time.sleep(0.1)

    def photograph(self, path: Path) -> None:
        """What is to be seen, as PNG."""
        picture = base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])
        assert picture.startswith(b"\x89PNG")
        path.write_bytes(picture)


@contextmanager
def browser(folder: Path, width: int = 1400, height: int = 1000) -> Iterator[Page]:
    """A browser with a profile of its own in ``folder``, for as long as the block lasts."""
    assert CHROMIUM is not None
    profile = folder / "profile"
    command = [CHROMIUM, *FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(_page_address(profile, process), max_size=None) as connection:
            page = Page(connection)
            page.ask("Page.enable")
            yield page
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)


def _page_address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the first tab listens."""
    import httpx

    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert process.poll() is None, "the browser left"
        assert time.monotonic() < deadline, "the browser does not listen"
        try:
            port = (profile / "DevToolsActivePort").read_text().split()[0]
            tabs = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
            return next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        except (OSError, IndexError, StopIteration, httpx.TransportError):
            time.sleep(0.1)
