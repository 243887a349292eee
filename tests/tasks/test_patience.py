"""One wait for a silent server that all requests share; asked of a real port that is open, closed and open again."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tasks import patience as patience_module
from tasks.patience import Patience, ServerGoneError, wait_together


class Answers(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


class Broken(Answers):
    status = 503


@contextmanager
def serving(port: int = 0, handler: type[Answers] = Answers) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Patience:
    """An impatient one in the place of this process's own."""
    own = Patience(seconds=0.5)
    monkeypatch.setattr(patience_module, "patience", own)
    monkeypatch.setattr(patience_module, "SECONDS_BETWEEN_PROBES", 0.0)
    wait_together()
    return own


def test_a_server_that_went_away_is_given_up_once_and_heard_again_when_it_is_back(patience: Patience) -> None:
    from prefect.client.base import PrefectHttpxSyncClient

    told: list[str] = []
    patience.tell = told.append
    with PrefectHttpxSyncClient(trust_env=False) as client:
        with serving() as port:
            assert client.get(f"http://127.0.0.1:{port}").status_code == 200
        for _ in range(3):
            with pytest.raises(ServerGoneError):
                client.get(f"http://127.0.0.1:{port}")
            assert patience.over
        assert len(told) == 1
        with serving(port):
            assert client.get(f"http://127.0.0.1:{port}").status_code == 200
        assert not patience.silent


def test_a_server_whose_database_is_away_is_given_up_too(patience: Patience) -> None:
    from prefect.client.base import PrefectHttpxSyncClient

    with (
        serving(handler=Broken) as port,
        PrefectHttpxSyncClient(trust_env=False) as client,
        pytest.raises(ServerGoneError, match="it answers 503"),
    ):
        client.get(f"http://127.0.0.1:{port}")
    assert patience.over


def test_whoever_finds_out_first_tells_it(patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was given up because time went by, and not because of a request that failed just then."""
    told: list[str] = []
    patience.tell = told.append
    patience.before()
    patience.failed("refused")
    while not patience.over:
        time.sleep(0.05)
    monkeypatch.setattr(patience_module, "SECONDS_BETWEEN_PROBES", 1e9)
    with pytest.raises(ServerGoneError):
        patience.before()
    assert told == ["refused"]


@pytest.mark.usefixtures("patience")
def test_between_two_probes_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.client.base import PrefectHttpxSyncClient

    with PrefectHttpxSyncClient(trust_env=False) as client:
        with serving() as port:
            client.get(f"http://127.0.0.1:{port}")
        with pytest.raises(ServerGoneError):
            client.get(f"http://127.0.0.1:{port}")
        monkeypatch.setattr(patience_module, "SECONDS_BETWEEN_PROBES", 1e9)
        with serving(port), pytest.raises(ServerGoneError):
            client.get(f"http://127.0.0.1:{port}")


def test_a_run_that_leaves_says_so_and_waits_no_longer(patience: Patience) -> None:
    said: list[str] = []
    patience.farewell = lambda: said.append("farewell")
    assert not patience.ended
    patience.leave()
    assert (patience.ended, said) == (True, ["farewell"])
