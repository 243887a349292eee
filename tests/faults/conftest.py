from collections.abc import Iterator

import pytest
from faulty import Killer
from own_server import OwnServer


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    """One for a file: it takes seconds to load everything, and then a kill costs only itself."""
    one = Killer()
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """One for a file, with its records in SQLite."""
    one = OwnServer(tmp_path_factory.mktemp("prefect"))
    try:
        one.start()
        yield one
    finally:
        one.close()
