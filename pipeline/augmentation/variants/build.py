"""The variants of a table of rows as one Parquet file, drawn shard by shard from the stored candidates.

A shard is a range of rows and depends on these rows alone. So the bytes are the same for any number of workers, any
order, any bounds of the shards, and however often the build was killed.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from pipeline.augmentation.augmenters.flow import make_flow
from pipeline.augmentation.candidates.files import ROWS, StoredCandidates
from pipeline.augmentation.candidates.table import Candidates
from pipeline.augmentation.variants.draw import TEXT, TEXT_PAIR, Row, Variant, augment_rows
from pipeline.augmentation.variants.row_ranges import groups, runs, text_bytes
from pipeline.augmentation.variants.row_statistics import Statistics, count_statistics, wants_statistics
from pipeline.augmentation.variants.shards import make_shards, open_batches, replacing, shard_path, write_batches
from pipeline.augmentation.words.sentences import Rows
from pipeline.config.augmentation import AugmentationConfig
from pipeline.progress import Progress
from pipeline.store.fan_out import FanOut, one_after_other

FILE = "variants.parquet"
SHARD_BYTES = 1 << 20  # of the text of its rows, so that a shard of long rows has few of them
COUNTS = b"counts"
CUT, SHARDS = "rows.arrow", "shards"
STATISTICS = "statistics.json"
OF_SENTENCE = "sentence_of_"


@dataclass(frozen=True)
class Drawing:
    """Settings and folders that a worker needs to draw a shard.

    Attributes:
        config: number of variants, augmenters and words.
        seed: seed of the run.
        candidates: folder of the candidates.
        scratch: folder of the rows, cut into shards, and of the finished shards.
    """

    config: AugmentationConfig
    seed: int
    candidates: Path
    scratch: Path


def build_variants(
    rows: Rows, drawing: Drawing, *, output: Path, progress: Progress, fan_out: FanOut = one_after_other
) -> dict[str, float]:
    """Write ``output/variants.parquet`` and return what is in it.

    Args:
        rows: reads the rows that the candidates were computed for, batch by batch: columns row_id, text and, for
            pairs, text_pair.
        drawing: settings and folders; its scratch keeps finished shards between attempts at the same build.
        output: folder of the result: columns origin_id, variant, column, num_changed, text and, for pairs, text_pair.
        progress: receives the number of rows done.
        fan_out: makes the shards.

    Returns:
        Counts and shares, see ``statistics``.
    """
    cut = drawing.scratch / CUT
    if not cut.exists():
        cut_rows(rows, drawing.candidates / ROWS, cut)
    known = drawing.scratch / STATISTICS
    if wants_statistics(drawing.config) and not known.exists():
        count_statistics(drawing.config, partial(_texts, rows)).save(known)
    try:
        shards = make_shards(partial(draw_shard, drawing), cut, drawing.scratch / SHARDS, fan_out, progress)
    finally:
        _stored.cache_clear()
    return statistics(_join(shards, output / FILE, _schema(open_batches(cut).schema)))


def cut_rows(rows: Rows, numbers: Path, path: Path) -> None:
    """Write the rows with the numbers of their sentences, a batch for each shard.

    Args:
        rows: reads the rows, batch by batch.
        numbers: file with the numbers of the sentences of each row.
        path: the file to write.
    """
    of_row = open_batches(numbers).get_batch(0)
    names = [OF_SENTENCE + name for name in of_row.schema.names]
    schema = pa.schema([*next(rows()).schema, *((name, pa.int64()) for name in names)])

    def beside() -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in rows():
            sentences = of_row.slice(done, batch.num_rows)
            done += batch.num_rows
            whole = pa.record_batch([*batch.columns, *sentences.columns], schema=schema)
            for start, end in runs(text_bytes(whole), whole.num_rows, SHARD_BYTES):
                yield whole.slice(start, end - start)

    write_batches(path, schema, beside())


def draw_shard(drawing: Drawing, number: int) -> None:
    """Draw the variants of one shard's rows and write them."""
    batch = open_batches(drawing.scratch / CUT).get_batch(number)
    numbers = np.concatenate([batch[name].to_numpy() for name in batch.schema.names if name.startswith(OF_SENTENCE)])
    rows, config = _rows(batch), drawing.config
    candidates = _stored(drawing.candidates).read(numbers[numbers >= 0])
    known = drawing.scratch / STATISTICS
    flow = make_flow(config, Known(candidates), Statistics.load(known) if wants_statistics(config) else None)
    flow.prime(candidates)
    variants = list(
        augment_rows(rows, flow, variants=config.variants, seed=drawing.seed, pair_mutation=config.pair_mutation)
    )
    counts = count(rows, variants, candidates, flow.num_words) + flow.counts
    schema = _schema(batch.schema).with_metadata({COUNTS: json.dumps(counts)})
    columns = zip(*variants, strict=True) if variants else ([] for _ in Variant._fields)
    named = dict(zip(Variant._fields, map(list, columns), strict=True))
    with replacing(shard_path(drawing.scratch / SHARDS, number)) as file:
        parquet.write_table(pa.table({name: named[name] for name in schema.names}, schema=schema), file)


@dataclass(frozen=True)
class Known:
    """A source of candidates that are already computed."""

    candidates: dict[str, Candidates]

    def build(self, texts: Iterable[str]) -> dict[str, Candidates]:
        """Return the candidates of these texts, all of which must be known."""
        return {text: self.candidates[text] for text in texts}


@lru_cache(maxsize=1)
def _stored(folder: Path) -> StoredCandidates:
    return StoredCandidates(folder)


def _texts(rows: Rows) -> Iterator[str]:
    for batch in rows():
        for row in _rows(batch):
            yield from (row.text, row.text_pair or "")


def _rows(batch: pa.RecordBatch) -> list[Row]:
    columns = [batch[name].to_pylist() for name in ("row_id", TEXT)]
    pairs = batch[TEXT_PAIR].to_pylist() if TEXT_PAIR in batch.schema.names else [None] * batch.num_rows
    return [Row(row_id, text or "", pair) for row_id, text, pair in zip(*columns, pairs, strict=True)]


def _schema(rows: pa.Schema) -> pa.Schema:
    fields = [
        ("origin_id", rows.field("row_id").type),
        ("variant", pa.int32()),
        ("column", pa.string()),
        ("num_changed", pa.int32()),
        (TEXT, pa.string()),
    ]
    return pa.schema(fields + [(TEXT_PAIR, pa.string())] * (TEXT_PAIR in rows.names))


def _join(shards: list[Path], path: Path, schema: pa.Schema) -> Counter[str]:
    """Write all shards into one file; return the sum of their counts."""
    counts: Counter[str] = Counter()
    with replacing(path) as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in groups(_shards(shards, counts), schema):
            writer.write_table(group)
    return counts


def _shards(paths: list[Path], counts: Counter[str]) -> Iterator[pa.Table]:
    for path in paths:
        table = parquet.ParquetFile(path).read()
        counts.update(json.loads(table.schema.metadata[COUNTS]))
        yield table.replace_schema_metadata(None)


def count(
    rows: list[Row], variants: list[Variant], candidates: dict[str, Candidates], num_words: Callable[[str], int]
) -> Counter[str]:
    """Count rows, words and variants; the counts of all shards add up.

    Args:
        rows: the rows that were augmented.
        variants: their variants.
        candidates: text -> candidates, of all their texts.
        num_words: text -> number of its words that may change.
    """
    counts = Counter(rows=len(rows), variants=len(variants))
    counts["unchanged_rows"] = len({row.row_id for row in rows} - {made.origin_id for made in variants})
    exposed = {}
    for row in rows:
        for column, text in ((TEXT, row.text), (TEXT_PAIR, row.text_pair)):
            if text is None:
                continue
            found = candidates[text]
            exposed[row.row_id, column] = num_words(text)
            counts["words"] += sum(map(bool, found.sentence.words))
            counts["replaceable_words"] += len(found.sentence.replaceable)
            counts["multi_piece_words"] += found.num_multi_piece
            counts["words_beyond_positions"] += found.num_beyond
            counts["words_without_candidates"] += len(found.sentence.replaceable) - len(found.words) - found.num_beyond
    counts["replaced_words"] = sum(made.num_changed for made in variants)
    counts["exposed_words"] = sum(exposed[made.origin_id, made.column] for made in variants)
    return counts


def statistics(counts: Counter[str]) -> dict[str, float]:
    """Return the counts and the shares computed from them.

    ``replaceable_share``: replaceable words among all words. ``multi_piece_share``: words of several pieces among the
    replaceable. ``replacement_rate``: changed words among the words that may change, over the variants written; those
    are the words with candidates, or all words if other augmenters than tinybert are listed. ``failed_draws`` and
    ``protected_draws``: texts that an augmenter left unchanged, see ``flow.Flow``.
    """

    def share(part: str, whole: str) -> float:
        return counts[part] / counts[whole] if counts[whole] else 0.0

    kept = ("rows", "variants", "unchanged_rows", "words", "replaceable_words", "multi_piece_words")
    lost = ("words_beyond_positions", "words_without_candidates", "failed_draws", "protected_draws")
    return {name: counts[name] for name in (*kept, *lost)} | {
        "replaceable_share": share("replaceable_words", "words"),
        "multi_piece_share": share("multi_piece_words", "replaceable_words"),
        "replacement_rate": share("replaced_words", "exposed_words"),
    }
