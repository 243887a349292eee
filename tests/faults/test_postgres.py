"""The server's database goes away in mid-stage and comes back: the run goes on, and the UI is told everything."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from own_server import BINARIES, OwnPostgres, OwnServer, until
from services import Up
from test_any_stage import check_went_on, held
from test_kills import without
from tiny_run import EVERY_STAGE, tiny

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not BINARIES or shutil.which("runuser") is None, reason="Debian's postgresql is not installed"),
]


@pytest.fixture(scope="module")
def postgres() -> Iterator[OwnPostgres]:
    with TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:  # where its user may go
        one = OwnPostgres(Path(folder))
        one.start()
        yield one
        one.stop()


@pytest.fixture(scope="module")
def server(postgres: OwnPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    one = OwnServer(tmp_path_factory.mktemp("prefect"), postgres.url)
    try:
        one.start()
        yield one
    finally:
        one.close()


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_database_restarted_in_mid_stage(
    postgres: OwnPostgres, server: OwnServer, stage: str, tmp_path: Path
) -> None:
    run = without(tmp_path, stage)
    command = held(server, run)
    postgres.stop()
    (tmp_path / "go").touch()
    until(lambda: stage in run.versions() or command.poll() is not None, "the stage ends without a database")
    postgres.start()
    check_went_on(server, run, stage, command)


def test_services_on_a_database_of_ones_own(postgres: OwnPostgres, tmp_path: Path) -> None:
    run = tiny(tmp_path / "run")
    services = Up(tmp_path / "home", run.folder / "artifacts")
    services.folder.mkdir()
    ports = ("--port", str(services.port), "--reports-port", str(services.reports_port))
    try:
        done = services.tinybert("up", "--database-url", postgres.url, "--store", str(services.store), *ports)
        assert done.returncode == 0, done.stderr
        assert "postgresql+asyncpg://" in done.stdout
        assert {health for _, health in services.processes().values()} == {"up"}
        done = services.tinybert("run", "tiny.yaml", "--until", "corpus", "--quiet", cwd=run.folder)
        assert done.returncode == 0, done.stderr
        (flow_run,) = services.ask("/flow_runs/filter", sort="START_TIME_DESC", limit=1)
        assert flow_run["state"]["type"] == "COMPLETED"
        assert not list(services.prefect_home.glob("*.db"))
    finally:
        services.tinybert("down", "--cancel")
