import json
from collections import deque

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.tokens.table import TokenTable, TokenTableWriter
from pipeline.errors import DataError, ModelError

ROWS = st.lists(st.lists(st.integers(0, 99_999), max_size=6), min_size=1, max_size=12)


@settings(max_examples=40)
@given(rows=ROWS, shard_rows=st.integers(1, 5), data=st.data())
def test_rows_come_back_padded_in_the_order_asked(tmp_path_factory, rows, shard_rows, data):
    folder = tmp_path_factory.mktemp("table")
    with TokenTableWriter(folder, shard_rows=shard_rows, vocab_size=100_000) as writer:
        for i, row in enumerate(rows):
            writer.append(row, [token % 2 for token in row], row_id=i, score=i / 2)
    table = TokenTable.open(folder)
    assert len(table) == len(rows)
    assert table.lengths.tolist() == [len(row) for row in rows]
    assert table.lengths.dtype == np.int32
    assert table.column("row_id").tolist() == list(range(len(rows)))
    indices = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8))
    batch = table.rows(indices, pad_id=7)
    width = max((len(rows[i]) for i in indices), default=0)
    assert batch["input_ids"].tolist() == [rows[i] + [7] * (width - len(rows[i])) for i in indices]
    assert batch["attention_mask"].sum(1).tolist() == [len(rows[i]) for i in indices]
    assert batch["token_type_ids"].tolist() == [
        [token % 2 for token in rows[i]] + [0] * (width - len(rows[i])) for i in indices
    ]
    assert batch["row_id"].tolist() == indices
    assert batch["score"].tolist() == [i / 2 for i in indices]
    assert batch["input_ids"].dtype == batch["token_type_ids"].dtype == np.int64
    assert batch["attention_mask"].dtype == bool


def small_table(folder, shard_rows=2):
    with TokenTableWriter(folder, shard_rows=shard_rows, vocab_size=100) as writer:
        for row in ([1, 2, 3], [4], [5, 6]):
            writer.append(row)


def test_pad_to_fixes_the_width(tmp_path):
    small_table(tmp_path)
    table = TokenTable.open(tmp_path)
    assert table.rows([1, 2], pad_to=4)["input_ids"].tolist() == [[4, 0, 0, 0], [5, 6, 0, 0]]
    assert table.rows([1, 2], pad_to=4)["token_type_ids"].tolist() == [[0] * 4] * 2
    with pytest.raises(ValueError, match="3 tokens does not fit into 2"):
        table.rows([0], pad_to=2)
    for outside in ([3], [-1]):
        with pytest.raises(IndexError):
            table.rows(outside)


def test_tokens_take_two_bytes_where_the_vocabulary_allows(tmp_path):
    small_table(tmp_path)
    with pa.memory_map(str(tmp_path / "shard-00000.arrow")) as source:
        assert pa.ipc.open_file(source).schema.field("input_ids").type == pa.list_(pa.uint16())


def test_opening_copies_nothing(tmp_path):
    with TokenTableWriter(tmp_path, vocab_size=100) as writer:
        for _ in range(2000):
            writer.append([1] * 500)
    before = pa.total_allocated_bytes()
    table = TokenTable.open(tmp_path)
    assert pa.total_allocated_bytes() - before < 100_000  # 2 MB of tokens stay on disk
    assert table.rows([1999])["input_ids"].sum() == 500


def test_a_shard_of_several_record_batches_is_read(tmp_path):
    small_table(tmp_path, shard_rows=10)
    path = tmp_path / "shard-00000.arrow"
    table = pa.ipc.open_file(path.read_bytes()).read_all()
    with pa.ipc.new_file(str(path), table.schema) as file:
        file.write_batch(table.slice(1).to_batches()[0])
        file.write_batch(table.slice(0, 1).to_batches()[0])
    opened = TokenTable.open(tmp_path)
    assert opened.rows([0, 1, 2])["input_ids"].tolist() == [[4, 0, 0], [5, 6, 0], [1, 2, 3]]


def test_a_table_that_was_not_finished_is_refused_and_written_afresh(tmp_path):
    def interrupted():
        yield [1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), TokenTableWriter(tmp_path, 1, vocab_size=100) as writer:
        deque(map(writer.append, interrupted()))
    with pytest.raises(DataError, match="not a complete token table"):
        TokenTable.open(tmp_path)
    small_table(tmp_path)
    assert len(TokenTable.open(tmp_path)) == 3


@pytest.mark.parametrize("damage", ["missing", "truncated", "miscounted"])
def test_a_damaged_table_is_refused(tmp_path, damage):
    small_table(tmp_path)
    shard = tmp_path / "shard-00001.arrow"
    if damage == "missing":
        shard.unlink()
    elif damage == "truncated":
        shard.write_bytes(shard.read_bytes()[:100])
    else:
        description = json.loads((tmp_path / "table.json").read_text())
        (tmp_path / "table.json").write_text(json.dumps(description | {"rows": 4}))
    with pytest.raises(DataError, match="build it again"):
        TokenTable.open(tmp_path)


def test_a_token_outside_the_vocabulary_is_an_error(tmp_path):
    with (
        pytest.raises(ModelError, match="100 with a vocabulary of 100"),
        TokenTableWriter(tmp_path, vocab_size=100) as writer,
    ):
        writer.append([3, 100])


def test_rows_of_one_table_have_the_same_columns(tmp_path):
    writer = TokenTableWriter(tmp_path, vocab_size=100)
    writer.append([1], label=1)
    with pytest.raises(ValueError, match="row 1"):
        writer.append([1])
    with pytest.raises(ValueError, match="row 1"):
        writer.append([1], [0], label=1)
    writer.append([1], label=2)
    writer.close()
    with pytest.raises(DataError, match=r"'score'.*label"):
        TokenTable.open(tmp_path).column("score")
