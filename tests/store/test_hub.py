"""A name on a hub is its commit of today, asked from a real server on this machine; without it, the one last seen."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tiny_run import Tiny, tiny

ONE, TWO = "1" * 40, "2" * 40
PIN = """
import sys
from pipeline.store.hub import HubName, pin

found = [pin(HubName(kind, "org/thing", revision)) for kind, revision in (("model", sys.argv[1]), ("dataset", "main"))]
print(*(f"{one.commit} {one.note}".strip() for one in found), sep="\\n")
"""


class Hub:
    """A hub that knows one model and one data set, each at a commit; it notes what it is asked."""

    def __init__(self, port: int) -> None:
        self.endpoint, self.commit = f"http://127.0.0.1:{port}", ONE
        self.asked: list[str] = []


@contextmanager
def serving() -> Iterator[Hub]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.asked.append(self.path)
            body = json.dumps({"id": "org/thing", "sha": hub.commit, "siblings": [], "tags": []}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    hub = Hub(server.server_address[1])
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Asking:
    """Processes of one user who asks one hub, whether it is there or not."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        local = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "hf"), "TINYBERT_HOME": str(folder / "own")}
        online = {name: value for name, value in os.environ.items() if "OFFLINE" not in name}
        self.folder, self.environment = folder, online | local | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

    def python(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=cwd,
            env=self.environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pins(self, revision: str = "main") -> list[str]:
        return self.python("-c", PIN, revision).splitlines()

    def plan(self, run: Tiny) -> tuple[str, str]:
        """Fingerprint of the corpus, whose tokenizer is on the hub; and what the plan says beside its table."""
        arguments = ("-m", "flows.cli", "plan", "tiny.yaml", "corpus.tokenizer=org/thing", "--until", "corpus")
        found = json.loads(self.python(*arguments, "--json", cwd=run.folder))
        return found[0]["fingerprint"], self.python(*arguments, cwd=run.folder)


def test_a_branch_is_its_commit_of_today_and_without_the_hub_the_one_last_seen(tmp_path: Path) -> None:
    with serving() as hub:
        user = Asking(tmp_path, hub.endpoint)
        assert user.pins() == [ONE, ONE]
        hub.commit = TWO
        assert user.pins() == [TWO, TWO]
    for line in user.pins():  # its port is closed now
        assert line.startswith(f"{TWO} the hub cannot be asked for org/thing@main (")
        assert ": it is taken for 222222222222, as the hub said on 2" in line


def test_a_commit_is_not_asked_about(tmp_path: Path) -> None:
    with serving() as hub:
        assert Asking(tmp_path, hub.endpoint).pins(TWO)[0] == TWO
        assert hub.asked
        assert not any("/models/" in path for path in hub.asked), hub.asked


def test_what_was_downloaded_serves_where_nothing_was_seen(tmp_path: Path) -> None:
    with serving() as hub:
        pass
    user = Asking(tmp_path, hub.endpoint)
    model, data = user.pins()
    assert model.startswith("None the hub cannot be asked for org/thing@main (")
    assert model.endswith("and was not on this machine before: a change on the hub would not be noticed")
    refs = tmp_path / "hf" / "hub" / "models--org--thing" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(ONE)
    assert user.pins()[0].endswith("it is taken for 111111111111, which was downloaded")
    assert user.pins()[1] == data


@pytest.mark.slow
def test_a_plan_notices_a_new_commit_and_says_when_it_could_not_ask(tmp_path: Path) -> None:
    run = tiny(tmp_path / "run")
    with serving() as hub:
        user = Asking(tmp_path, hub.endpoint)
        first, said = user.plan(run)
        assert "cannot be asked" not in said
        assert user.plan(run)[0] == first
        hub.commit = TWO
        second, _ = user.plan(run)
        assert second != first
    without, said = user.plan(run)
    assert without == second
    assert said.count("the hub cannot be asked for org/thing@main") == 1
