import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.augmentation.candidates import glove
from pipeline.augmentation.candidates.glove import cached_vectors, load_glove
from pipeline.errors import DataError

LINES = "the 1 2 2\nfox 0 3 4\nzero 0 0 0\ndog 1 0 0\nFox 0 3 3\n"


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "glove.txt"
    path.write_text(LINES, "utf-8")
    os.utime(path, (1, 1))
    return path


@pytest.fixture
def settled(monkeypatch) -> None:
    """The time of a file's last change cannot be set, so the clock goes ahead."""
    now = glove.time.time_ns
    monkeypatch.setattr(glove.time, "time_ns", lambda: now() + 10_000_000_000)


def never(*_):
    raise AssertionError


@pytest.mark.usefixtures("settled")
def test_the_second_time_nothing_is_read_and_everything_is_the_same(tmp_path, file, monkeypatch):
    first = cached_vectors(file, None, tmp_path / "cache")
    monkeypatch.setattr(glove, "load_glove", never)
    second = cached_vectors(file, None, tmp_path / "cache")
    read = load_glove(file)
    for found in (first, second):
        assert found.words == read.words == ["the", "fox", "dog", "Fox"]
        assert found.num_zero == read.num_zero == 1
        np.testing.assert_array_equal(found.matrix, read.matrix)
        assert found.neighbours("fox", 2) == read.neighbours("fox", 2)


@pytest.mark.usefixtures("settled")
def test_another_file_or_another_number_of_words_is_read_anew(tmp_path, file):
    folder = tmp_path / "cache"
    assert len(cached_vectors(file, None, folder).words) == 4
    assert len(cached_vectors(file, 2, folder).words) == 2
    file.write_text("one 1 2 2\n", "utf-8")
    assert cached_vectors(file, None, folder).words == ["one"]
    assert len(list(folder.iterdir())) == 3


def test_a_file_that_has_just_changed_is_not_kept(tmp_path, file):
    file.write_text(LINES, "utf-8")
    cached_vectors(file, None, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("spoil", [b"", b"nonsense", b'{"words": ["a"], "num_zero": 0}'])
def test_a_spoiled_entry_is_made_again(tmp_path, file, spoil):
    folder = tmp_path / "cache"
    cached_vectors(file, None, folder)
    (entry,) = folder.iterdir()
    (entry / glove.WORDS).write_bytes(spoil)
    assert len(cached_vectors(file, None, folder).words) == 4
    assert [path.name for path in folder.iterdir()] == [entry.name]
    assert len(glove._open(entry).words) == 4


@pytest.mark.usefixtures("settled")
def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path, file):
    (tmp_path / "cache").write_text("a file")
    assert len(cached_vectors(file, None, tmp_path / "cache").words) == 4


@pytest.mark.usefixtures("settled")
def test_a_bad_file_is_named_as_ever(tmp_path, file):
    file.write_text("a 1 2\nb 1\n", "utf-8")
    with pytest.raises(DataError, match="line 2"):
        cached_vectors(file, None, tmp_path / "cache")
    with pytest.raises(DataError, match="No such file"):
        cached_vectors(tmp_path / "none", None, tmp_path / "cache")
