"""A hub that cannot be reached, and one that hangs up, by real sockets: known soon, told in a line, tried again."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_run import tiny

SCRIPT = """
import json
from pipeline.config.task import TaskConfig
from pipeline.data.tasks.hub import read_hub
from pipeline.data.tasks.rows import Columns
from pipeline.data.corpus.text import hub_documents
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.errors import PipelineError
from pipeline.models.load import load_config
from pipeline.models.source import ModelSource
from tasks.retries import again_in

asked = {
    "config": lambda: load_config(ModelSource("bert-base-uncased")),
    "tokenizer": lambda: load_tokenizer("bert-base-uncased", "main"),
    "task": lambda: read_hub(TaskConfig(hub="nyu-mll/glue"), "train", Columns("sentence", None, "label")),
    "corpus": lambda: next(hub_documents("wikimedia/wikipedia", "train", "text")),
}
said = {}
for name, ask in asked.items():
    try:
        ask()
    except PipelineError as error:
        said[name] = [str(error), error.exit_code, again_in(error, 1), again_in(error, 2), again_in(error, 3)]
print(json.dumps(said))
"""
LOADS = {"config": ("bert-base-uncased", 4), "tokenizer": ("bert-base-uncased", 4)} | {
    "task": ("nyu-mll/glue", 3),
    "corpus": ("wikimedia/wikipedia", 3),
}


@contextmanager
def closed() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield port


@contextmanager
def hanging_up() -> Iterator[int]:
    """The port of a server that hears what is asked and closes the connection."""

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 16)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hub", "said"), [(closed, "cannot be reached ("), (hanging_up, "was lost (")], ids=["closed", "hanging up"]
)
def test_a_lost_hub_is_told_in_a_line_and_tried_again(tmp_path: Path, hub: object, said: str) -> None:
    assert callable(hub)
    with hub() as port:
        endpoint = f"http://127.0.0.1:{port}"
        own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=os.environ | own, capture_output=True, text=True, check=True
        )
    lines = json.loads(done.stdout.splitlines()[-1])
    assert lines.keys() == LOADS.keys()
    for load, (name, code) in LOADS.items():
        line, exit_code, *again = lines[load]
        assert line.startswith(f"cannot load {name!r}: there is no such folder here, and the hub {endpoint} {said}")
        assert "check the connection, or name " in line
        assert "\n" not in line
        assert exit_code == code
        assert again == [10.0, 60.0, None]
    assert "Retrying in" not in done.stderr  # the client's own half a minute for each file


@pytest.mark.parametrize(
    ("given", "code"),
    [("teacher.model=no-such-user/bert", 4), ("task={hub: no-such-user/reviews}", 3)],
)
def test_a_run_does_not_begin_without_the_hub_it_asks(tmp_path: Path, given: str, code: int) -> None:
    tiny(tmp_path)
    with closed() as port:
        own = {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "0"}
        command = [sys.executable, "-m", "flows.cli", "run", "tiny.yaml", given]
        root = {"PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | own | root, capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    assert f"the hub http://127.0.0.1:{port} cannot be reached (" in done.stderr
    assert "check the connection, or name " in done.stderr
    assert not (tmp_path / "artifacts").exists()
