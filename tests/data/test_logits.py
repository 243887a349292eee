from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.tokens.logits import join_logits, read_logits, write_logits


def table(rows: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, classes)).astype(np.float32)


@settings(deadline=None, max_examples=30)
@given(rows=st.lists(st.integers(0, 20), min_size=1, max_size=4), classes=st.integers(1, 5))
def test_logits_come_back_as_they_were(rows: list[int], classes: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("logits")
    shards = []
    for number, count in enumerate(rows):
        shards.append(folder / f"{number}.arrow")
        write_logits(shards[-1], table(count, classes, number))
        found = read_logits(shards[-1])
        assert found.dtype == np.float32
        assert found.shape == (count, classes)
        assert np.array_equal(found, table(count, classes, number))
    join_logits(shards, folder / "all.arrow")
    expected = np.concatenate([table(count, classes, number) for number, count in enumerate(rows)])
    assert np.array_equal(read_logits(folder / "all.arrow"), expected)
    assert {path.suffix for path in folder.iterdir()} == {".arrow"}


def test_a_table_is_mapped_not_read(tmp_path: Path) -> None:
    path = tmp_path / "logits.arrow"
    write_logits(path, table(1000, 3))
    before = pa.total_allocated_bytes()
    found = read_logits(path)
    assert pa.total_allocated_bytes() - before < found.nbytes / 10
    assert not found.flags.owndata
    assert not found.flags.writeable
    path.unlink()  # the map outlives its name
    assert np.array_equal(found, table(1000, 3))


def test_a_new_table_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "logits.arrow"
    write_logits(path, table(5, 2, 1))
    old = read_logits(path)
    write_logits(path, table(7, 2, 2))
    assert np.array_equal(old, table(5, 2, 1))
    assert np.array_equal(read_logits(path), table(7, 2, 2))
