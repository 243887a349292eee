"""Candidates on disk: every distinct sentence once, read back as they were computed, by whoever made which shard."""

import random
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.augmentation.candidates.files import ROWS, StoredCandidates, join_shards, write_shard
from pipeline.augmentation.candidates.masked_lm import MaskedLM
from pipeline.augmentation.candidates.table import CandidateTable
from pipeline.augmentation.variants.shards import make_shards, open_batches, shard_path
from pipeline.augmentation.words.sentences import NOTHING, cut, number_by_appearance, write_sentences
from pipeline.models.mlm import mlm_head
from pipeline.progress import Silent
from pipeline.store.fan_out import one_after_other

COLUMNS = ("text", "text_pair")
TEXTS = st.lists(st.tuples(st.text(max_size=3) | st.none(), st.text(max_size=3) | st.none()), max_size=12)


def batches_of(texts, size=4):
    """Rows in batches, the first one there even without rows."""
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    pieces = [texts[start : start + size] for start in range(0, len(texts), size)] or [[]]
    arrays = [[pa.array([row[at] for row in piece], pa.string()) for at in range(2)] for piece in pieces]
    return [pa.record_batch(columns, schema=schema) for columns in arrays]


def cut_up(folder: Path, texts, most=3) -> Path:
    write_sentences(lambda: iter(batches_of(texts)), COLUMNS, folder / "cut", folder / ROWS, shard_sentences=most)
    return folder / "cut"


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_every_row_finds_its_sentences_and_no_sentence_is_there_twice(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("sentences")
    file = open_batches(cut_up(folder, texts))
    shards = [file.get_batch(number)["text"].to_pylist() for number in range(file.num_record_batches)]
    sentences = [text for shard in shards for text in shard]
    wanted = [text for first, second in texts for text in (first or "", second) if text is not None]
    assert sentences == list(dict.fromkeys(wanted))
    assert all(0 < len(shard) <= 3 for shard in shards)
    numbers = open_batches(folder / ROWS).get_batch(0)
    for at, name in enumerate(COLUMNS):
        held = [None if number == NOTHING else sentences[number] for number in numbers[name].to_pylist()]
        assert held == [row[at] if at else row[at] or "" for row in texts]


@given(st.lists(st.integers(0, 6)))
def test_numbers_count_up_as_keys_appear(keys):
    order = [key for key in dict.fromkeys(keys) if key]
    expected = [order.index(key) if key else NOTHING for key in keys]
    assert number_by_appearance(np.array(keys, np.uint64)).tolist() == expected


def test_long_sentences_make_small_shards():
    shards = list(cut(["x" * 2_000] * 5 + ["y"] * 5, 4))
    assert [len(shard) for shard in shards] == [2, 2, 4, 2]
    assert sum(shards, []) == ["x" * 2_000] * 5 + ["y"] * 5  # noqa: RUF017 - ten of them


@pytest.fixture
def table(bert, wordpiece, vectors) -> CandidateTable:
    return CandidateTable(wordpiece, MaskedLM(bert, wordpiece, head=mlm_head(bert)), vectors, 8)


class Maker:
    """Makes shards as the stage does, and remembers which."""

    def __init__(self, folder: Path, table: CandidateTable) -> None:
        self.folder, self.table = folder, table
        self.made: list[int] = []

    def __call__(self, number: int) -> None:
        texts = open_batches(self.folder / "cut").get_batch(number)["text"].to_pylist()
        write_shard(shard_path(self.folder / "shards", number), texts, self.table)
        self.made.append(number)


def contents(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("candidates.arrow", "words.arrow", ROWS)]


def test_what_is_stored_is_what_was_computed(tmp_path, table, sentences):
    texts = [(text, other) for text, other in zip(sentences, [*sentences[1:], "fox " * 100], strict=True)]
    texts += [("", "😀"), (None, None), ("the", "中文 fox"), ("\x00", " ")]
    make = partial(make_shards, Maker(tmp_path, table), cut_up(tmp_path, texts))
    counts = join_shards(make(tmp_path / "shards", one_after_other, Silent()), tmp_path)
    unique = list(dict.fromkeys(text for row in texts for text in (row[0] or "", row[1]) if text is not None))
    assert (counts["rows"], counts["sentences"]) == (len(texts), len(unique))
    stored, expected = StoredCandidates(tmp_path), table.build(unique)
    assert counts["words_with_candidates"] == sum(len(found.words) for found in expected.values()) > 25
    assert stored.read(np.arange(len(unique))) == expected
    assert stored.read(np.array([5, 0, 5])) == {unique[at]: expected[unique[at]] for at in (0, 5)}
    assert stored.read(np.zeros(0, np.int64)) == {}


def test_whoever_makes_a_shard_and_when_the_bytes_are_the_same(tmp_path, table, sentences):
    texts = [(text, text[::-1]) for text in sentences]

    def shuffled(work, shards):
        for number in random.Random(1).sample(shards, len(shards)):
            work(number)
            work(number)  # sent out twice, as when a worker was thought dead
            yield number

    made = {}
    for name, fan_out in (("in order", one_after_other), ("shuffled", shuffled)):
        folder = tmp_path / name
        maker = Maker(folder, table)
        join_shards(make_shards(maker, cut_up(folder, texts), folder / "shards", fan_out, Silent()), folder)
        made[name] = contents(folder)
        assert sorted(maker.made) == list(range(5))
    assert made["in order"] == made["shuffled"]


def test_a_killed_build_goes_on_with_the_shards_that_are_not_there(tmp_path, table, sentences):
    texts = [(text, None) for text in sentences]

    class Watch(Silent):
        notes: list[str]
        seen: list[tuple[float, float | None]]

        def __init__(self):
            self.notes, self.seen = [], []

        def note(self, message):
            self.notes.append(message)

        def update(self, done, total, **fields):  # noqa: ARG002 - Progress's signature
            self.seen.append((done, total))

    def run(name: str, dies_at: int | None) -> Watch:
        folder, watch = tmp_path / name, Watch()
        maker = Maker(folder, table)

        def mortal(number: int) -> None:
            if number == dies_at:
                (folder / "shards" / "shard-0000001.0.draft").write_bytes(b"torn")
                raise KeyboardInterrupt
            maker(number)

        join_shards(make_shards(mortal, cut_up(folder, texts), folder / "shards", one_after_other, watch), folder)
        return watch

    assert run("whole", None).seen == [(0, 7), (3, 7), (6, 7), (7, 7)]
    with pytest.raises(KeyboardInterrupt):
        run("killed", 1)
    assert not (tmp_path / "killed" / "candidates.arrow").exists()
    watch = run("killed", None)
    assert watch.notes == ["resumed: 1 of 3 shards were already there"]
    assert watch.seen == [(3, 7), (6, 7), (7, 7)]
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
