"""A server whose password we do not have: a run goes on without it, everything else says what to set."""

from pathlib import Path

import pytest
from own_server import OwnServer
from tiny_run import tiny

WANTED = "it asks for a password: set PREFECT_API_AUTH_STRING, or PREFECT_API_KEY"


@pytest.mark.slow
def test_a_password_that_is_missing_or_wrong(tmp_path: Path) -> None:
    (tmp_path / "prefect").mkdir()
    server = OwnServer(tmp_path / "prefect", settings={"PREFECT_SERVER_API_AUTH_STRING": "somebody:secret"})
    try:
        server.start()
        run = tiny(tmp_path / "run")
        for words, given in ((1, {}), (3, {"PREFECT_API_AUTH_STRING": "somebody:else"})):
            server.environment |= given
            wanted = (f"corpus.min_words={words}", "--until", "corpus", "--quiet")
            going = server.tinybert(run.folder, "run", "tiny.yaml", *wanted)
            out, _ = going.communicate(timeout=120)
            assert going.returncode == 0, out
            assert f"Prefect cannot be reached ({WANTED}): the run goes on without its UI" in out
            deploy = server.tinybert(run.folder, "deploy", "tiny.yaml")
            out, _ = deploy.communicate(timeout=120)
            assert deploy.returncode == 1
            assert WANTED in out
            assert out.count("\n") == 1
        server.environment["PREFECT_API_AUTH_STRING"] = "somebody:secret"
        going = server.tinybert(run.folder, "run", "tiny.yaml", "--until", "task_data", "--quiet")
        out, _ = going.communicate(timeout=120)
        assert going.returncode == 0, out
        assert "cannot be reached" not in out
    finally:
        server.close()
