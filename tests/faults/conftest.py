from collections.abc import Iterator

import pytest
from faulty import Killer


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    """One for a file: it takes seconds to load everything, and then a kill costs only itself."""
    one = Killer()
    yield one
    one.close()
