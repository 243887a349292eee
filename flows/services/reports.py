"""The store's artifacts over HTTP, to be read only: ``python -m flows.services.reports STORE --host H --port P``.

Hidden files and links that lead out of the store are not there. The password is that of Prefect's server, taken
from ``PREFECT_SERVER_API_AUTH_STRING`` (user:password); without one anybody who reaches the port may read.
"""

import base64
import hmac
import os
from functools import partial
from html import escape
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import typer

NOWHERE = "/dev/null/nowhere"


class ReportHandler(SimpleHTTPRequestHandler):
    """Serve the visible files of a store; see the module.

    Args:
        auth: user:password; None asks for no password.
    """

    def __init__(self, *args: object, auth: str | None, **kwargs: object) -> None:
        self._auth = auth
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        """Return the file behind a URL, or a path that cannot exist."""
        place = super().translate_path(path)
        parts = Path(place).relative_to(self.directory).parts
        if "\0" in place or any(part.startswith(".") for part in parts):
            return NOWHERE
        root = Path(self.directory).resolve()
        return place if Path(place).resolve().is_relative_to(root) else NOWHERE

    def list_directory(self, path: str | os.PathLike[str]) -> BytesIO | None:
        """List a folder without the files that are not served."""
        shown = (entry for entry in Path(path).iterdir() if not entry.name.startswith("."))
        names = sorted(entry.name + "/" * entry.is_dir() for entry in shown)
        lines = "".join(f'<li><a href="{quote(name)}">{escape(name)}</a></li>' for name in names)
        page = f"<!DOCTYPE html><meta charset=utf-8><title>artifacts</title><ul>{lines}</ul>".encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        return BytesIO(page)

    def send_head(self) -> object:  # type: ignore[override]
        """Check the password, for GET and HEAD alike."""
        if self._allowed():
            return super().send_head()
        self.send_response(HTTPStatus.UNAUTHORIZED)
        self.send_header("WWW-Authenticate", 'Basic realm="tinybert reports"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _allowed(self) -> bool:
        if self._auth is None:
            return True
        expected = "Basic " + base64.b64encode(self._auth.encode()).decode()
        return hmac.compare_digest(self.headers.get("Authorization", "").encode(), expected.encode())


def reports_server(store: Path, host: str, port: int, auth: str | None) -> ThreadingHTTPServer:
    """Return a server that is ready to ``serve_forever``; port 0 takes a free one."""
    handler = partial(ReportHandler, directory=str(store), auth=auth)
    return ThreadingHTTPServer((host, port), handler)


def main(store: Path, host: str = "127.0.0.1", port: int = 4201) -> None:
    """Serve a store's reports over HTTP, read only, until ended."""
    auth = os.environ.get("PREFECT_SERVER_API_AUTH_STRING") or None
    with reports_server(store, host, port, auth) as server:
        server.serve_forever()


if __name__ == "__main__":
    typer.run(main)
