import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.tokens.feature_table import (
    ALIGNED_BYTES,
    CHECKSUMS,
    FeatureTable,
    disk_bytes,
    make_room,
    shard_places,
)

TOKENS = (5, 0, 3, 9, 1)
WIDTH = 4
BATCH_BYTES = 9 * WIDTH * 4


def rows(batch: int) -> np.ndarray:
    return np.random.default_rng(batch).standard_normal(TOKENS[batch] * WIDTH).astype(np.float32)


def salt(batch: int) -> bytes:
    return f"inputs of {batch}".encode()


def table(folder: Path) -> FeatureTable:
    return FeatureTable(folder, TOKENS, WIDTH, shard_bytes=BATCH_BYTES)


@pytest.fixture
def filled(tmp_path: Path) -> FeatureTable:
    made = table(tmp_path)
    for batch in (3, 1, 0, 4, 2):
        made.write(batch, rows(batch), salt(batch))
    return made


def lost(folder: Path) -> list[int]:
    """Batches that are not there when the table is opened again; those that are, are right."""
    again = table(folder)
    found = {batch: again.read(batch, salt(batch)) for batch in range(len(TOKENS))}
    assert all(values is None or np.array_equal(values, rows(batch)) for batch, values in found.items())
    return [batch for batch, values in found.items() if values is None]


def test_what_was_written_is_read_by_whoever_opens_it(filled: FeatureTable) -> None:
    assert lost(filled.folder) == []
    assert table(filled.folder).stored == 1
    assert len(list(filled.folder.glob("shard-*"))) > 1


def test_what_is_read_is_aligned(filled: FeatureTable) -> None:
    for batch in range(len(TOKENS)):
        values = filled.read(batch, salt(batch))
        assert values is not None
        assert not len(values) or values.ctypes.data % ALIGNED_BYTES == 0


def test_nothing_is_there_before_it_was_written(tmp_path: Path) -> None:
    made = table(tmp_path)
    assert (lost(tmp_path), made.stored) == ([0, 1, 2, 3, 4], 0)
    made.write(3, rows(3), salt(3))
    assert lost(tmp_path) == [0, 1, 2, 4]
    assert made.stored == pytest.approx(9 / 18)


def test_features_of_other_inputs_are_not_there(filled: FeatureTable) -> None:
    assert filled.read(3, salt(2)) is None


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_flipped_byte_loses_its_batch_and_no_other(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("table")
    made = table(folder)
    for batch in range(len(TOKENS)):
        made.write(batch, rows(batch), salt(batch))
    path = data.draw(st.sampled_from(sorted(path for path in folder.iterdir() if path.stat().st_size)))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    (batch,) = lost(folder)
    table(folder).write(batch, rows(batch), salt(batch))
    assert lost(folder) == []


@pytest.mark.parametrize("size", [0, 7, 100])
def test_a_file_cut_short_loses_what_is_behind(filled: FeatureTable, size: int) -> None:
    for path in filled.folder.glob("shard-*"):
        os.truncate(path, min(size, path.stat().st_size))
    assert lost(filled.folder)
    assert filled.read(3, salt(3)) is None  # to the one that has it open, too
    os.truncate(filled.folder / CHECKSUMS, 12)  # the first checksum and a half
    assert 2 in lost(filled.folder)


def test_a_table_that_is_deleted_in_use_is_empty_and_cannot_be_written(filled: FeatureTable) -> None:
    shutil.rmtree(filled.folder)
    assert filled.read(3, salt(3)) is None
    with pytest.raises(FileNotFoundError):
        filled.write(3, rows(3), salt(3))


def test_a_batch_that_left_the_cache_comes_from_the_disk(filled: FeatureTable) -> None:
    filled.forget(3)
    assert np.array_equal(filled.read(3, salt(3)), rows(3))


@given(sizes=st.lists(st.integers(0, 50)), limit=st.integers(1, 60))
def test_shards_are_runs_of_whole_batches(sizes: list[int], limit: int) -> None:
    shards: dict[int, list[tuple[int, int]]] = {}
    for (shard, start), size in zip(shard_places(sizes, limit), sizes, strict=True):
        shards.setdefault(shard, []).append((start, size))
    assert list(shards) == list(range(len(shards)))
    for batches in shards.values():
        ends = [0, *(start + size for start, size in batches)]
        assert [start for start, _ in batches] == ends[:-1]  # nothing between them
        assert ends[-1] <= limit or len([size for _, size in batches if size]) == 1


def test_room_is_made_by_the_tables_that_were_not_used_for_longest(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "kept", "older", "oldest")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shard").write_bytes(bytes(100_000))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    size = disk_bytes(tmp_path / "new")
    assert size >= 100_000
    keep = tmp_path / "kept"
    assert make_room(tmp_path, size, 4 * size, keep) == []
    assert make_room(tmp_path, size, 3 * size, keep) == [tmp_path / "oldest"]
    assert make_room(tmp_path, size, size, keep) == [tmp_path / "older", tmp_path / "new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
