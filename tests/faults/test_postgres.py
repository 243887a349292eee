"""The server's database goes away in mid-run and comes back: the run does not notice, and the UI is told everything."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from own_server import BINARIES, OwnPostgres, OwnServer, until
from test_server import DIGESTED, PART, check_same, checkpoints, newest_run, state
from tiny_run import STAGES, tiny

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not BINARIES or shutil.which("runuser") is None, reason="Debian's postgresql is not installed"),
]


@pytest.fixture
def postgres() -> Iterator[OwnPostgres]:
    with TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:  # where its user may go
        one = OwnPostgres(Path(folder))
        one.start()
        yield one
        one.stop()


def test_a_database_restarted_in_mid_run(postgres: OwnPostgres, tmp_path: Path) -> None:
    (tmp_path / "prefect").mkdir()
    server = OwnServer(tmp_path / "prefect", postgres.url)
    try:
        server.start()
        run = tiny(tmp_path / "run")
        command = server.tinybert(run.folder, "run", "tiny.yaml", "--quiet")
        until(lambda: checkpoints(run), "the first training has begun")
        postgres.stop()
        until(lambda: PART in run.versions() or command.poll() is not None, "a stage ends without a database")
        postgres.start()
        out, _ = command.communicate(timeout=600)
        assert command.returncode == 0, out
        check_same(run, *DIGESTED)
        flow_run = newest_run(server)
        assert until(lambda: state(server, flow_run.id).is_final(), "the run is settled")
        assert state(server, flow_run.id).is_completed()
        assert server.stages(flow_run.id) == dict.fromkeys(STAGES, "COMPLETED")
    finally:
        server.close()
