"""A remembered digest is that of the file as it is, whatever about the file has changed, and however little."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.store.digest_cache import DigestCache
from pipeline.store.fingerprint import digest_file

DAY = 86_400.0
ROWS = ["the first row", "another one...", "and the last."]


def later() -> float:
    """Long after any change."""
    return time.time() + 60


class Kept:
    """A file whose digest is remembered; ``look`` asks for it as the next process would."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "rows.txt"
        self.file.write_text("\n".join(ROWS), encoding="utf-8")
        self.look()

    def look(self, path: Path | None = None, clock: Callable[[], float] = later) -> str:
        cache = DigestCache(self.folder / "digests.json", clock=clock)
        digest = cache.digest(path or self.file)
        cache.save()
        return digest

    def write(self, text: str) -> None:
        """Other content under the old modification time, as a restored backup has it."""
        before = self.file.stat()
        self.file.write_text(text, encoding="utf-8")
        os.utime(self.file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_any_row_edited_to_the_same_length_under_the_same_time_is_noticed(row: int, kept: Kept) -> None:
    before = kept.look()
    kept.write("\n".join([*ROWS[:row], ROWS[row][::-1], *ROWS[row + 1 :]]))
    assert before != kept.look() == digest_file(kept.file)


def test_every_byte_counts(kept: Kept) -> None:
    text, seen = "\n".join(ROWS), {kept.look()}
    for place in range(len(text)):
        kept.write(text[:place] + "#" + text[place + 1 :])
        seen.add(kept.look())
    assert len(seen) == len(text) + 1


def replaced(kept: Kept) -> None:
    """Another file takes the name, with the size and the time of the first."""
    other = kept.folder / "other.txt"
    other.write_text("\n".join(ROWS).upper(), encoding="utf-8")
    shutil.copystat(kept.file, other)
    other.replace(kept.file)


def linked(kept: Kept) -> None:
    other = kept.folder / "other.txt"
    other.write_text("\n".join(ROWS).upper(), encoding="utf-8")
    shutil.copystat(kept.file, other)
    kept.file.unlink()
    kept.file.symlink_to(other)


def longer(kept: Kept) -> None:
    kept.write("\n".join([*ROWS, "one more"]))


def renewed(kept: Kept) -> None:
    kept.file.unlink()
    kept.file.write_text("\n".join(ROWS).upper(), encoding="utf-8")


@pytest.mark.parametrize("change", [replaced, linked, longer, renewed])
def test_each_way_to_change_a_file_is_noticed(change: Callable[[Kept], None], kept: Kept) -> None:
    before = kept.look()
    change(kept)
    assert before != kept.look() == digest_file(kept.file)


def test_two_files_that_swap_their_names_swap_their_digests(kept: Kept) -> None:
    other = kept.folder / "other.txt"
    other.write_text("\n".join(ROWS).upper(), encoding="utf-8")
    shutil.copystat(kept.file, other)
    one, two = kept.look(), kept.look(other)
    kept.file.rename(kept.folder / "aside")
    other.rename(kept.file)
    (kept.folder / "aside").rename(other)
    assert (kept.look(), kept.look(other)) == (two, one)


def test_a_folder_that_takes_the_name_of_another_brings_its_own_files(kept: Kept) -> None:
    for name, text in (("a", "x"), ("b", "y")):
        (kept.folder / name).mkdir()
        (kept.folder / name / "f").write_text(text, encoding="utf-8")
    one, two = kept.look(kept.folder / "a" / "f"), kept.look(kept.folder / "b" / "f")
    shutil.rmtree(kept.folder / "a")
    (kept.folder / "b").rename(kept.folder / "a")
    assert kept.look(kept.folder / "a" / "f") == two != one


@pytest.mark.parametrize("jump", [-DAY, -1.0, 0.0])
def test_a_clock_that_jumped_back_remembers_nothing_and_is_told_the_truth(jump: float, kept: Kept) -> None:
    kept.write("\n".join(ROWS).upper())
    first = kept.look(clock=lambda: kept.file.stat().st_ctime + jump)
    assert first == digest_file(kept.file)
    kept.write("\n".join(ROWS).title())
    assert first != kept.look(clock=lambda: kept.file.stat().st_ctime + jump) == digest_file(kept.file)


def test_what_is_edited_while_it_is_read_is_not_remembered(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def edited(path: Path) -> str:
        digest = digest_file(path)
        path.write_text("\n".join(ROWS).title(), encoding="utf-8")
        return digest

    kept.write("\n".join(ROWS).upper())
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.store.digest_cache.digest_file", edited)
        kept.look()
    assert kept.look() == digest_file(kept.file)
