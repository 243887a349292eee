"""Vectors that are kept are those of the file as it is: whatever is changed about it alone, they are read again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.augmentation.candidates import glove
from pipeline.augmentation.candidates.glove import cached_vectors, load_glove

ROWS = ["the 1 2 2", "fox 0 3 4", "dog 1 0 0", "cat 2 2 1"]
TEXT = "\n".join(ROWS) + "\n"


class Vectors:
    """A file of vectors that was read, and is kept."""

    def __init__(self, folder: Path) -> None:
        self.file, self.cache = folder / "glove.txt", folder / "cache"
        self.file.write_text(TEXT, "utf-8")
        os.utime(self.file, (1, 1))
        self.read()
        assert len(list(self.cache.iterdir())) == 1

    def read(self, max_words: int | None = None) -> list[tuple[str, tuple[float, ...]]]:
        """Words and vectors; they are those of the file, whether they were read or kept."""
        found, true = cached_vectors(self.file, max_words, self.cache), load_glove(self.file, max_words)
        assert found.words == true.words
        np.testing.assert_array_equal(found.matrix, true.matrix)
        return [(word, tuple(row)) for word, row in zip(found.words, found.matrix.tolist(), strict=True)]

    def write(self, text: str) -> None:
        """Other content under the old modification time."""
        self.file.write_text(text, "utf-8")
        os.utime(self.file, (1, 1))


@pytest.fixture
def vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vectors:
    now = glove.time.time_ns  # the time of a file's last change cannot be set, so the clock goes ahead
    monkeypatch.setattr(glove.time, "time_ns", lambda: now() + 10_000_000_000)
    return Vectors(tmp_path)


def test_an_untouched_file_is_not_read_again(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(glove, "load_glove", never)
    assert vectors.read()


@pytest.mark.parametrize("row", range(len(ROWS)))
@pytest.mark.parametrize("edit", [lambda row: row[:-1] + "7", lambda row: "owl" + row[3:]])
def test_any_row_edited_to_the_same_length_under_the_same_time_is_read(
    row: int, edit: Callable[[str], str], vectors: Vectors
) -> None:
    before = vectors.read()
    vectors.write("\n".join([*ROWS[:row], edit(ROWS[row]), *ROWS[row + 1 :]]) + "\n")
    after = vectors.read()
    assert [a != b for a, b in zip(before, after, strict=True)] == [number == row for number in range(len(ROWS))]


def test_rows_in_another_order_or_one_more_or_less_are_read(vectors: Vectors) -> None:
    seen = [vectors.read()]
    for rows in (ROWS[::-1], ROWS[1:], [*ROWS, "owl 1 1 1"]):
        vectors.write("\n".join(rows) + "\n")
        seen.append(vectors.read())
    assert len({tuple(found) for found in seen}) == 4


def replaced(vectors: Vectors) -> None:
    other = vectors.file.with_name("other.txt")
    other.write_text(TEXT.replace("fox", "owl"), "utf-8")
    shutil.copystat(vectors.file, other)
    other.replace(vectors.file)


def linked(vectors: Vectors) -> None:
    other = vectors.file.with_name("other.txt")
    other.write_text(TEXT.replace("fox", "owl"), "utf-8")
    shutil.copystat(vectors.file, other)
    vectors.file.unlink()
    vectors.file.symlink_to(other)


@pytest.mark.parametrize("change", [replaced, linked])
def test_another_file_of_that_name_is_read(change: Callable[[Vectors], None], vectors: Vectors) -> None:
    before = vectors.read()
    change(vectors)
    assert vectors.read() != before


def test_another_number_of_words_is_read(vectors: Vectors) -> None:
    assert [len(vectors.read(count)) for count in (None, 1, 2, 3, None, 2)] == [4, 1, 2, 3, 4, 2]


def test_what_an_earlier_format_kept_is_not_opened(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glove, "FORMAT", glove.FORMAT + 1)
    vectors.read()
    assert len(list(vectors.cache.iterdir())) == 2


def test_a_clock_that_jumped_back_a_day_keeps_nothing(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    now = glove.time.time_ns
    monkeypatch.setattr(glove.time, "time_ns", lambda: now() - 86_400 * 10**9)
    vectors.write(TEXT.replace("fox", "owl"))
    vectors.read()
    vectors.write(TEXT.replace("fox", "elk"))
    vectors.read()
    assert len(list(vectors.cache.iterdir())) == 1
