"""Rows of a task as tokens, with a real tokenizer."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.tokenizer import train_wordpiece
from pipeline.engine.rows import by_length, plan, reader, write_rows
from pipeline.progress import Silent

TEXT = ["one two three four five six seven eight nine ten eleven twelve"]
TOKENIZER = train_wordpiece(TEXT * 50, 400)


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def words(count: int) -> str:
    return " ".join(TEXT[0].split()[:count])


def write(folder: Path, columns: dict[str, list[Any]], max_length: int) -> tuple[Any, list[str]]:
    notes = Notes()
    rows = len(columns["text"])
    tables = [pa.table({"row_id": list(range(rows)), **columns})]
    return write_rows(folder, tables, TOKENIZER, max_length=max_length, progress=notes), notes.lines


def test_single_sentences_longer_than_allowed_are_cut_and_counted(tmp_path: Path) -> None:
    counts = [1, 5, 6, 7, 12]  # each word is one piece; [CLS] and [SEP] are two more
    table, notes = write(tmp_path, {"text": [words(n) for n in counts]}, max_length=8)
    assert table.lengths.tolist() == [3, 7, 8, 8, 8]
    assert notes == ["2 of 5 rows are longer than 8 word pieces and were cut"]
    row = table.rows([4])["input_ids"][0].tolist()
    assert TOKENIZER.convert_ids_to_tokens(row) == ["[CLS]", *words(6).split(), "[SEP]"]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [(1, 1, None), (4, 5, None), (9, 1, (8, 1)), (1, 9, (1, 8)), (8, 8, (4, 5)), (12, 3, (6, 3))],
)
def test_of_a_pair_the_longer_text_is_cut_first(
    first: int, second: int, kept: tuple[int, int] | None, tmp_path: Path
) -> None:
    columns = {"text": [words(first), words(1)], "text_pair": [words(second), words(1)]}
    table, notes = write(tmp_path, columns, max_length=12)
    assert notes == ([] if kept is None else ["1 of 2 rows are longer than 12 word pieces and were cut"])
    types = table.rows([0])["token_type_ids"][0]
    left, right = kept or (first, second)
    assert (int((types == 0).sum()) - 2, int((types == 1).sum()) - 1) == (left, right)


def test_nothing_is_said_when_nothing_is_cut(tmp_path: Path) -> None:
    _, notes = write(tmp_path, {"text": [words(3)] * 5}, max_length=8)
    assert notes == []


def test_labels_are_numbers_and_not_a_number_where_unknown(tmp_path: Path) -> None:
    labelled = pa.table({"row_id": [4, 7], "text": ["one", "two"], "label": [1, None]})
    scored = pa.table({"row_id": [8], "text": ["two"], "label": [2.5]})
    bare = pa.table({"row_id": [9], "text": ["three"]})
    table = write_rows(tmp_path, [labelled, scored, bare], TOKENIZER, max_length=8, progress=Silent())
    np.testing.assert_array_equal(table.column("label"), [1.0, np.nan, 2.5, np.nan])
    assert table.column("row_id").tolist() == [4, 7, 8, 9]


def test_a_batch_is_padded_and_takes_further_columns(tmp_path: Path) -> None:
    table, _ = write(tmp_path, {"text": [words(n) for n in (1, 5, 3)]}, max_length=12)
    extra = np.arange(6.0, dtype=np.float32).reshape(3, 2)
    extra.flags.writeable = False
    read = reader(table, pad_id=TOKENIZER.pad_token_id, columns=lambda rows: {"logits": extra[rows]})
    batch = read(np.array([2, 0]), 0)
    assert batch["input_ids"].shape == (2, 5)
    assert batch["attention_mask"].tolist() == [[True] * 5, [True] * 3 + [False] * 2]
    assert batch["input_ids"][1, 3:].tolist() == [TOKENIZER.pad_token_id] * 2
    assert torch.equal(batch["logits"], torch.tensor([[4.0, 5.0], [0.0, 1.0]]))
    wide = reader(table, pad_id=0, pad_to=12)(np.array([0]), 0)
    assert wide["input_ids"].shape == (1, 12)


def test_a_plan_follows_its_configuration() -> None:
    lengths = np.arange(1, 11, dtype=np.int32)
    rows = plan(lengths, TrainingConfig(batch_size=4, drop_last=True), seed=3, max_length=16)
    assert [len(batch) for batch in rows.epoch(0)] == [4, 4]
    assert rows.pad_to is None
    tokens = plan(lengths, TrainingConfig(max_tokens=32, padding="max_length"), seed=3, max_length=16)
    assert [len(batch) for batch in tokens.epoch(0)] == [2] * 5
    assert tokens.pad_to == 16


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 100))
def test_reading_by_length_visits_every_row_once(lengths: list[int], max_tokens: int) -> None:
    array = np.array(lengths, np.int32)
    batches = list(by_length(array, max_tokens))
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * array[batch].max() <= max_tokens


def test_few_rows_of_many_lengths_are_hardly_padded() -> None:
    lengths = np.random.default_rng(0).integers(4, 60, 1_000).astype(np.int32)
    batches = list(by_length(lengths, 4_096))
    computed = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    assert lengths.sum() / computed > 0.97
    assert min(lengths[batch].sum() for batch in batches[:-1]) >= 512
