import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from pipeline.augmentation.augmenters.tinybert import TinyBertAug
from pipeline.augmentation.candidates.files import ROWS, join_shards, write_shard
from pipeline.augmentation.candidates.masked_lm import MaskedLM
from pipeline.augmentation.candidates.table import CandidateTable
from pipeline.augmentation.candidates.vectors import from_input_embeddings
from pipeline.augmentation.variants import build as build_module
from pipeline.augmentation.variants import row_ranges as cuts
from pipeline.augmentation.variants.build import Drawing, build_variants
from pipeline.augmentation.variants.draw import Row, augment_rows
from pipeline.augmentation.variants.shards import make_shards, open_batches, shard_path
from pipeline.augmentation.words.sentences import write_sentences
from pipeline.config.augmentation import AugmentationConfig
from pipeline.config.words import WordsConfig
from pipeline.models.mlm import mlm_head
from pipeline.progress import Silent
from pipeline.store.fan_out import one_after_other

CONFIG = AugmentationConfig(variants=4, candidates=6, words=WordsConfig(negations=False))
SEED = 3
GOLDEN = Path(__file__).parent / "golden_variants.json"


class Interrupted(Exception):  # noqa: N818 - it is a signal
    pass


class StopAfter(Silent):
    """Kills the build after so many rows, as a signal would."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.notes: list[str] = []

    def update(self, done, total, **fields) -> None:  # noqa: ARG002 - Progress's signature
        if done >= self.rows:
            raise Interrupted

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def rows(sentences) -> pa.Table:
    texts = [*sentences, "", "😀", "the", sentences[0], "fox " * 100]
    pairs = [*reversed(sentences), "fox", "", "lazy dog", sentences[1], "dog"]
    return pa.table({"row_id": list(range(100, 112)), "text": texts, "text_pair": pairs})


@pytest.fixture
def table(bert, wordpiece) -> CandidateTable:
    mlm = MaskedLM(bert, wordpiece, head=mlm_head(bert))
    return CandidateTable(wordpiece, mlm, from_input_embeddings(bert, wordpiece), CONFIG.candidates, CONFIG.words)


@pytest.fixture
def build(table, tmp_path):
    def run(rows, name, *, progress=None, fan_out=one_after_other, shard_rows=3, config=CONFIG, table=table):
        def batches():
            return iter(rows.to_batches(max_chunksize=shard_rows) or [pa.RecordBatch.from_pylist([], rows.schema)])

        def make(number):
            texts = open_batches(folder / "cut").get_batch(number)["text"].to_pylist()
            write_shard(shard_path(folder / "shards", number), texts, table)

        folder, columns = tmp_path / f"{name}-candidates", [x for x in rows.column_names if x.startswith("text")]
        write_sentences(batches, columns, folder / "cut", folder / ROWS, shard_sentences=3)
        join_shards(make_shards(make, folder / "cut", folder / "shards", one_after_other, Silent()), folder)
        drawing = Drawing(config=config, seed=SEED, candidates=folder, scratch=tmp_path / f"{name}-scratch")
        output = tmp_path / name
        return build_variants(batches, drawing, output=output, progress=progress or Silent(), fan_out=fan_out)

    return run


def test_variants_are_those_the_augmenter_draws_when_the_model_is_at_hand(build, rows, table, tmp_path):
    build(rows, "out")
    given = [Row(*row.values()) for row in rows.to_pylist()]
    augmenter = TinyBertAug(table, probability=CONFIG.probability)
    drawn = [made._asdict() for made in augment_rows(given, augmenter, variants=CONFIG.variants, seed=SEED)]
    assert parquet.read_table(tmp_path / "out" / "variants.parquet").to_pylist() == drawn


def test_variants_are_those_of_the_versions_before(build, rows, tmp_path):
    """Recorded when candidates and variants were one stage, and no negation but the stop-words stayed."""
    build(rows, "out")
    made = parquet.read_table(tmp_path / "out" / "variants.parquet").to_pylist()
    assert [list(row.values()) for row in made] == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_a_killed_build_goes_on_and_ends_with_the_same_bytes(build, rows, tmp_path):
    figures = build(rows, "whole")
    with pytest.raises(Interrupted):
        build(rows, "killed", progress=StopAfter(6))
    assert not (tmp_path / "killed" / "variants.parquet").exists()
    finished = sorted((tmp_path / "killed-scratch" / "shards").iterdir())
    assert len(finished) == 2
    times = [path.stat().st_mtime_ns for path in finished]
    watch = StopAfter(10_000)
    assert build(rows, "killed", progress=watch) == figures
    assert [path.stat().st_mtime_ns for path in finished] == times
    assert watch.notes == ["resumed: 2 of 4 shards were already there"]
    whole, killed = ((tmp_path / name / "variants.parquet").read_bytes() for name in ("whole", "killed"))
    assert whole == killed


def test_the_order_of_shards_does_not_matter(build, rows, tmp_path):
    def shuffled(work, shards):
        for number in random.Random(4).sample(shards, len(shards)):
            work(number)
            yield number

    assert build(rows, "one") == build(rows, "two", fan_out=shuffled)
    one, two = ((tmp_path / name / "variants.parquet").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("shard_rows", "shard_bytes", "group_rows", "group_bytes"),
    [(1, 1 << 20, 8, 1 << 26), (12, 1, 8, 1 << 26), (12, 150, 8, 1 << 26), (5, 90, 64, 300), (12, 1 << 20, 64, 300)],
)
def test_where_rows_are_cut_leaves_no_trace_in_the_bytes(
    build, rows, tmp_path, monkeypatch, shard_rows, shard_bytes, group_rows, group_bytes
):
    monkeypatch.setattr(cuts, "GROUP_ROWS", group_rows)
    monkeypatch.setattr(cuts, "GROUP_BYTES", group_bytes)
    figures = build(rows, "whole", shard_rows=12)
    monkeypatch.setattr(build_module, "SHARD_BYTES", shard_bytes)
    assert build(rows, "cut", shard_rows=shard_rows) == figures
    assert (len(list((tmp_path / "whole-scratch" / "shards").iterdir()))) == 1
    assert (len(list((tmp_path / "cut-scratch" / "shards").iterdir()))) > (1 if shard_bytes < 1000 else 0)
    whole, cut = (tmp_path / name / "variants.parquet" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()
    file = parquet.ParquetFile(whole)
    sizes = [file.read_row_group(number).num_rows for number in range(file.num_row_groups)]
    assert len(sizes) > 1
    assert max(sizes) <= group_rows


def test_long_rows_are_drawn_a_few_at_a_time(build, tmp_path, monkeypatch):
    monkeypatch.setattr(build_module, "SHARD_BYTES", 10_000)
    long = pa.table({"row_id": list(range(8)), "text": [f"lazy fox {number} " * 400 for number in range(8)]})
    figures = build(long, "long", shard_rows=8)
    assert len(list((tmp_path / "long-scratch" / "shards").iterdir())) == 3
    assert figures["variants"] > 8


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 6), st.integers(1, 20))
def test_runs_hold_everything_once_and_end_when_they_are_full(sizes, most, total):
    found = list(cuts.runs(np.array(sizes, np.int64), most, total))
    assert [number for start, end in found for number in range(start, end)] == list(range(len(sizes)))
    for start, end in found:
        assert end - start <= most
        assert sum(sizes[start : end - 1]) < total
    for start, end in found[:-1]:
        assert end - start == most or sum(sizes[start:end]) >= total


def listing(*augmenters):
    return CONFIG.model_copy(update={"augmenters": augmenters})


def test_the_replacement_rate_is_of_the_words_that_may_change(build, rows):
    only_masks = build(rows, "mask", config=listing({"mask": {"probability": 0.5}}))
    assert 0.4 < only_masks["replacement_rate"] < 0.65
    grams = build(rows, "grams", config=listing({"tinybert": {}}, {"ngram": {"probability": 1.0, "longest": 1}}))
    assert 0.8 < grams["replacement_rate"] <= 1
    thrice = ({"tinybert": {"probability": 1.0}}, {"mask": {"probability": 1.0}}, {"keyboard": {}})
    assert 0.7 < build(rows, "thrice", config=listing(*thrice))["replacement_rate"] <= 1


def test_row_order_and_shard_size_do_not_matter(build, rows, tmp_path):
    build(rows, "one")
    build(rows.take(list(reversed(range(rows.num_rows)))), "two", shard_rows=5)
    order = [("origin_id", "ascending"), ("column", "ascending"), ("variant", "ascending")]
    one, two = (parquet.read_table(tmp_path / name / "variants.parquet").sort_by(order) for name in ("one", "two"))
    assert one.equals(two)


def test_columns_and_figures(build, rows, tmp_path):
    figures = build(rows, "out")
    made = parquet.read_table(tmp_path / "out" / "variants.parquet")
    assert made.column_names == ["origin_id", "variant", "column", "num_changed", "text", "text_pair"]
    assert (
        parquet.ParquetFile(tmp_path / "out" / "variants.parquet").metadata.row_group(0).column(0).compression == "ZSTD"
    )
    assert figures["rows"] == 12
    assert figures["variants"] == made.num_rows > 40
    origins = set(made["origin_id"].to_pylist())
    assert figures["unchanged_rows"] == 12 - len(origins) == 1
    given = {row["row_id"]: row for row in rows.to_pylist()}
    for variant in made.to_pylist():
        other = "text_pair" if variant["column"] == "text" else "text"
        assert variant[other] == given[variant["origin_id"]][other]
        assert variant[variant["column"]] != given[variant["origin_id"]][variant["column"]]
    assert figures["words_beyond_positions"] == 100 - 62
    assert 0 < figures["multi_piece_share"] < 1
    assert 0 < figures["replaceable_share"] < 1
    assert 0.3 < figures["replacement_rate"] < 0.6


def test_single_sentences_have_no_pair_column(build, rows, tmp_path):
    build(rows.drop_columns("text_pair"), "single")
    made = parquet.read_table(tmp_path / "single" / "variants.parquet")
    assert made.column_names == ["origin_id", "variant", "column", "num_changed", "text"]
    assert set(made["column"].to_pylist()) == {"text"}


def test_no_rows_make_an_empty_table(build, rows, tmp_path):
    figures = build(rows.slice(0, 0), "empty")
    assert parquet.read_table(tmp_path / "empty" / "variants.parquet").num_rows == 0
    assert figures["replacement_rate"] == 0.0


def test_neighbours_alone_do(build, rows, vectors, wordpiece):
    figures = build(rows, "near", table=CandidateTable(wordpiece, None, vectors, CONFIG.candidates))
    assert figures["variants"] > 40


def test_text_row_ids_stay_text(build, sentences, tmp_path):
    rows = pa.table({"row_id": [f"train-{i}" for i in range(len(sentences))], "text": sentences})
    build(rows, "named")
    made = parquet.read_table(tmp_path / "named" / "variants.parquet")
    assert set(made["origin_id"].to_pylist()) == set(rows["row_id"].to_pylist())
