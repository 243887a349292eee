"""The reports over HTTP: what is served, what is not, and to whom."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPBasicAuthHandler, HTTPPasswordMgrWithDefaultRealm, ProxyHandler, build_opener

from flows.services.reports import reports_server


@contextmanager
def served(store: Path, auth: str | None = None) -> Iterator[str]:
    server = reports_server(store, "127.0.0.1", 0, auth)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetch(url: str, user: str = "", password: str = "") -> tuple[int, str]:
    known = HTTPPasswordMgrWithDefaultRealm()
    if user:
        known.add_password(None, url, user, password)
    try:
        with build_opener(ProxyHandler({}), HTTPBasicAuthHandler(known)).open(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, ""


def test_reports_are_served_and_nothing_hidden_or_outside(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for name in ("report/v0001-a/report.html", ".work/b/scratch", ".refs.json"):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_text("words")
    (tmp_path / "secret").write_text("words")
    (store / "link").symlink_to(tmp_path / "secret")
    with served(store) as url:
        assert fetch(f"{url}/report/v0001-a/report.html") == (200, "words")
        assert fetch(f"{url}/") == (200, fetch(f"{url}/")[1])
        assert "report/" in fetch(f"{url}/")[1]
        assert ".work" not in fetch(f"{url}/")[1]
        for path in (".work/b/scratch", ".refs.json", "link", "../secret", "%2e%2e/secret", "report/..%2f..%2fsecret"):
            assert fetch(f"{url}/{path}")[0] == 404


def test_reports_ask_for_the_password_if_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("words")
    with served(tmp_path, "me:secret") as url:
        assert fetch(f"{url}/report.html")[0] == 401
        assert fetch(f"{url}/report.html", "me", "wrong")[0] == 401
        assert fetch(f"{url}/report.html", "me", "secret") == (200, "words")
