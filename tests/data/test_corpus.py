import numpy as np
import pytest

from pipeline.data.corpus.files import build_corpus, length_histogram
from pipeline.data.tokens.table import TokenTable
from pipeline.data.tokens.tokenizer import train_wordpiece
from pipeline.errors import DataError

DOCUMENTS = [
    ["A small student learns from a large teacher.", "Too short.", "The  loss\tcompares their\x00 layers."],
    [],
    ["A small   student learns from a large teacher.", "Another document says another thing."],
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece((p for d in DOCUMENTS for p in d * 3), 300)


def test_the_corpus_is_cleaned_deduplicated_packed_and_counted(tmp_path, tokenizer):
    statistics = build_corpus(DOCUMENTS, tokenizer, tmp_path, max_length=64, min_words=3, dedup_memory_mb=0.1)
    table = TokenTable.open(tmp_path)
    texts = [tokenizer.decode(row[row != 0]) for row in table.rows(range(len(table)))["input_ids"]]
    assert texts == [
        "[CLS] a small student learns from a large teacher. the loss compares their layers. [SEP]",
        "[CLS] another document says another thing. [SEP]",
    ]
    rate = statistics.pop("dedup_false_positive_rate")
    assert 0 < rate < 1e-6
    assert statistics == {
        "documents": 3,
        "paragraphs": 5,
        "dropped_too_short": 1,
        "dropped_duplicate": 1,
        "sequences": 2,
        "tokens": int(table.lengths.sum()),
        "mean_length": round(float(table.lengths.mean()), 2),
        "length_histogram": length_histogram(table.lengths, 64),
    }


def test_duplicates_stay_when_asked(tmp_path, tokenizer):
    statistics = build_corpus(DOCUMENTS, tokenizer, tmp_path, max_length=64, deduplicate=False)
    assert statistics["dropped_duplicate"] == 0
    assert statistics["dedup_false_positive_rate"] == 0


def test_batches_do_not_change_the_corpus(tmp_path, tokenizer, monkeypatch):
    build_corpus(DOCUMENTS, tokenizer, tmp_path / "one", max_length=9)
    monkeypatch.setattr("pipeline.data.corpus.files.BATCH_PARAGRAPHS", 1)
    build_corpus(DOCUMENTS, tokenizer, tmp_path / "many", max_length=9)
    one, many = ((tmp_path / name / "shard-00000.arrow").read_bytes() for name in ("one", "many"))
    assert one == many


def test_reading_stops_at_max_tokens(tmp_path, tokenizer):
    def endless():
        number = 0
        while True:
            number += 1
            yield [f"The student number {number} learns."]

    statistics = build_corpus(endless(), tokenizer, tmp_path, max_length=16, max_tokens=500)
    assert 500 <= statistics["tokens"] < 516


@pytest.mark.parametrize("documents", [[], [[]], [["", "  "]], [["one two"]]])
def test_nothing_left_is_an_error_and_leaves_no_table(tmp_path, tokenizer, documents):
    with pytest.raises(DataError, match="nothing is left"):
        build_corpus(documents, tokenizer, tmp_path, max_length=16, min_words=3)
    with pytest.raises(DataError):
        TokenTable.open(tmp_path)


def test_the_histogram_counts_every_length_once():
    lengths = np.array([1, 8, 9, 64])
    assert length_histogram(lengths, 64) == {8: 2, 16: 1, 24: 0, 32: 0, 40: 0, 48: 0, 56: 0, 64: 1}
    assert sum(length_histogram(np.arange(3, 6), 5).values()) == 3
