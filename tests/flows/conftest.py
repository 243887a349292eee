from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect_server import prefect_server
from tiny_run import Tiny, tiny


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A finished tiny run whose folder we are in."""
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path, finished=True)


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A tiny run that nobody has started, whose folder we are in."""
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Prefect server that this process uses, started once; ten to thirty seconds."""
    home = tmp_path_factory.mktemp("prefect")
    settings = {
        "PREFECT_HOME": str(home),
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    with pytest.MonkeyPatch.context() as environment, prefect_server(home) as api:
        for name, value in settings.items():
            environment.setenv(name, value)
        from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

        with temporary_settings({PREFECT_API_URL: api, PREFECT_HOME: home, PREFECT_LOGGING_TO_API_ENABLED: False}):
            yield api
