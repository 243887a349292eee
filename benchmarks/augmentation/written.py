"""Candidates on disk for texts, without a model: made-up words in the place of what one would propose."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from setting import made_up_words
from transformers import PreTrainedTokenizerFast

from pipeline.augmentation.candidates.files import ROWS, join_shards, write_shard
from pipeline.augmentation.candidates.table import Candidates
from pipeline.augmentation.variants.shards import make_shards, open_batches, shard_path
from pipeline.augmentation.words.sentences import write_sentences
from pipeline.augmentation.words.words import WordSplitter
from pipeline.progress import Silent
from pipeline.store.fan_out import one_after_other

SHARD_ROWS = 2_048
EACH = 12


class MadeUp:
    """Candidates that cost nothing; in all else as those of a model."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._split, self._words = WordSplitter(tokenizer), made_up_words()

    def build(self, texts: Iterable[str]) -> dict[str, Candidates]:
        """Some of the words, by the word's length and place."""
        made = {}
        for text in texts:
            sentence = self._split(text)
            starts = {at: (at * 97 + len(sentence.words[at]) * 31) % 3_000 for at in sentence.replaceable}
            made[text] = Candidates(sentence, {at: tuple(self._words[s : s + EACH]) for at, s in starts.items()})
        return made


def write_candidates(
    folder: Path, texts: Iterable[str] | Callable[[], Iterator[pa.RecordBatch]], tokenizer: PreTrainedTokenizerFast
) -> Callable[[], Iterator[pa.RecordBatch]]:
    """Write the candidates of some rows into a folder; what reads the rows."""
    rows = texts if callable(texts) else _rows(list(texts))
    table = MadeUp(tokenizer)

    def make(number: int) -> None:
        some = open_batches(folder / "cut").get_batch(number)["text"].to_pylist()
        write_shard(shard_path(folder / "shards", number), some, table)

    write_sentences(rows, ["text"], folder / "cut", folder / ROWS, shard_sentences=SHARD_ROWS)
    join_shards(make_shards(make, folder / "cut", folder / "shards", one_after_other, Silent()), folder)
    return rows


def _rows(texts: list[str]) -> Callable[[], Iterator[pa.RecordBatch]]:
    table = pa.table({"row_id": list(range(len(texts))), "text": texts})
    return lambda: iter(table.to_batches(max_chunksize=SHARD_ROWS))
