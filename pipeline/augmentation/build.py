"""The variants of a table of rows, as one Parquet file, built shard by shard.

A shard is a fixed range of rows and depends on nothing but them, so a build that was killed goes on with
the first shard that is not there, and ends with the same bytes.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet
from transformers import PreTrainedTokenizerFast

from pipeline.augmentation.augmenter import TinyBertAug
from pipeline.augmentation.candidates import Candidates, CandidateTable
from pipeline.augmentation.masked_lm import MaskedLM
from pipeline.augmentation.variants import TEXT, TEXT_PAIR, Row, Variant, augment_rows
from pipeline.augmentation.vectors import WordVectors
from pipeline.config.augmentation import AugmentationConfig
from pipeline.progress import Progress

FILE = "variants.parquet"
SHARD_ROWS = 256  # a few minutes of a 12-layer model on two CPU cores: what a kill may cost
ROW_GROUP = 16_384
COUNTS = b"counts"
Draw = Callable[[list[Row]], tuple[list[Variant], Counter[str]]]


def build_variants(
    rows: pa.Table,
    mlm: MaskedLM | None,
    tokenizer: PreTrainedTokenizerFast,
    vectors: WordVectors | None,
    *,
    config: AugmentationConfig,
    seed: int,
    output: Path,
    scratch: Path,
    progress: Progress,
    shard_rows: int = SHARD_ROWS,
) -> dict[str, float]:
    """Write ``output/variants.parquet`` and say what is in it.

    Args:
        rows: Columns row_id, text and, for pairs, text_pair.
        mlm: None takes neighbours for every word.
        tokenizer: The masked LM's; without one, the teacher's.
        vectors: For words of several pieces.
        config: How many variants, from which candidates.
        seed: Of the run.
        output: Folder of the result: origin_id, variant, column, num_changed, text, text_pair if given.
        scratch: Folder that keeps finished shards between attempts at the same build.
        progress: Told of rows done.
        shard_rows: Rows a shard; the candidates of a shard are computed together.

    Returns:
        Counts and shares, see ``statistics``.

    Raises:
        ConfigError: neither a masked LM nor vectors.
    """
    table = CandidateTable(tokenizer, mlm, vectors, config.candidates)

    def draw(some: list[Row]) -> tuple[list[Variant], Counter[str]]:
        augmenter = TinyBertAug(table, probability=config.probability)  # a new one forgets the shard before
        candidates = augmenter.prime(text for row in some for text in (row.text, row.text_pair) if text is not None)
        variants = augment_rows(
            some, augmenter, variants=config.variants, seed=seed, pair_mutation=config.pair_mutation
        )
        made = list(variants)
        return made, count(some, made, candidates)

    shards = list(_shards(rows, draw, scratch, progress, shard_rows))
    return statistics(_join(shards, output / FILE, _schema(rows)))


def count(rows: list[Row], variants: list[Variant], candidates: dict[str, Candidates]) -> Counter[str]:
    """What happened to some rows, in numbers that add up over shards."""
    counts = Counter(rows=len(rows), variants=len(variants))
    counts["unchanged_rows"] = len({row.row_id for row in rows} - {made.origin_id for made in variants})
    exposed = {}
    for row in rows:
        for column, text in ((TEXT, row.text), (TEXT_PAIR, row.text_pair)):
            if text is None:
                continue
            found = candidates[text]
            exposed[row.row_id, column] = len(found.words)
            counts["words"] += sum(map(bool, found.sentence.words))
            counts["replaceable_words"] += len(found.sentence.replaceable)
            counts["multi_piece_words"] += found.num_multi_piece
            counts["words_beyond_positions"] += found.num_beyond
            counts["words_without_candidates"] += len(found.sentence.replaceable) - len(found.words) - found.num_beyond
    counts["replaced_words"] = sum(made.num_changed for made in variants)
    counts["exposed_words"] = sum(exposed[made.origin_id, made.column] for made in variants)
    return counts


def statistics(counts: Counter[str]) -> dict[str, float]:
    """Counts, and the shares they give.

    replaceable_share: replaceable among all words; multi_piece_share: words of several pieces among the
    replaceable; replacement_rate: replaced among the words with candidates, over the variants written.
    """

    def share(part: str, whole: str) -> float:
        return counts[part] / counts[whole] if counts[whole] else 0.0

    kept = ("rows", "variants", "unchanged_rows", "words", "replaceable_words", "multi_piece_words")
    lost = ("words_beyond_positions", "words_without_candidates")
    return {name: counts[name] for name in (*kept, *lost)} | {
        "replaceable_share": share("replaceable_words", "words"),
        "multi_piece_share": share("multi_piece_words", "replaceable_words"),
        "replacement_rate": share("replaced_words", "exposed_words"),
    }


def _shards(rows: pa.Table, draw: Draw, scratch: Path, progress: Progress, shard_rows: int) -> Iterator[Path]:
    scratch.mkdir(parents=True, exist_ok=True)
    resumed = 0
    progress.update(0, rows.num_rows)
    for begin in range(0, rows.num_rows, shard_rows):
        path = scratch / f"variants-{begin:09d}-{shard_rows}.parquet"
        if path.exists():
            resumed += 1
        else:
            variants, counts = draw(_rows(rows.slice(begin, shard_rows)))
            schema = _schema(rows).with_metadata({COUNTS: json.dumps(counts)})
            columns = zip(*variants, strict=True) if variants else ([] for _ in Variant._fields)
            named = dict(zip(Variant._fields, map(list, columns), strict=True))
            _write(path, pa.table({name: named[name] for name in schema.names}, schema=schema))
        progress.update(min(begin + shard_rows, rows.num_rows), rows.num_rows)
        yield path
    if resumed:
        progress.note(f"augmentation resumed: {resumed} shards of {shard_rows} rows were already there")


def _rows(table: pa.Table) -> list[Row]:
    columns = [table[name].to_pylist() for name in ("row_id", TEXT)]
    pairs = table[TEXT_PAIR].to_pylist() if TEXT_PAIR in table.column_names else [None] * table.num_rows
    return [Row(row_id, text or "", pair) for row_id, text, pair in zip(*columns, pairs, strict=True)]


def _schema(rows: pa.Table) -> pa.Schema:
    fields = [
        ("origin_id", rows.schema.field("row_id").type),
        ("variant", pa.int32()),
        ("column", pa.string()),
        ("num_changed", pa.int32()),
        (TEXT, pa.string()),
    ]
    return pa.schema(fields + [(TEXT_PAIR, pa.string())] * (TEXT_PAIR in rows.column_names))


def _join(shards: list[Path], path: Path, schema: pa.Schema) -> Counter[str]:
    """All shards in one file, and the sum of their counts."""
    counts: Counter[str] = Counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with parquet.ParquetWriter(partial, schema, compression="zstd") as writer:
        for shard in shards:
            table = parquet.read_table(shard)
            counts.update(json.loads(table.schema.metadata[COUNTS]))
            writer.write_table(table.replace_schema_metadata(None), row_group_size=ROW_GROUP)
    partial.replace(path)
    return counts


def _write(path: Path, table: pa.Table) -> None:
    """Write a file that is there whole or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        parquet.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
