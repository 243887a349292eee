import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.augmentation.build import build_variants
from pipeline.augmentation.masked_lm import MaskedLM
from pipeline.augmentation.vectors import from_input_embeddings
from pipeline.config.augmentation import AugmentationConfig
from pipeline.errors import ConfigError
from pipeline.models.mlm import mlm_head
from pipeline.progress import Silent

CONFIG = AugmentationConfig(variants=4, candidates=6)


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
def build(bert, wordpiece, tmp_path):
    def run(rows, name, **options):
        given = {
            "mlm": MaskedLM(bert, wordpiece, head=mlm_head(bert)),
            "tokenizer": wordpiece,
            "vectors": from_input_embeddings(bert, wordpiece),
            "config": CONFIG,
            "seed": 3,
            "output": tmp_path / name,
            "scratch": tmp_path / f"{name}-scratch",
            "progress": Silent(),
            "shard_rows": 3,
        } | options
        return build_variants(rows, **given)

    return run


def test_a_killed_build_goes_on_and_ends_with_the_same_bytes(build, rows, tmp_path):
    figures = build(rows, "whole")
    with pytest.raises(Interrupted):
        build(rows, "killed", progress=StopAfter(6))
    assert not (tmp_path / "killed" / "variants.parquet").exists()
    finished = sorted((tmp_path / "killed-scratch").iterdir())
    assert len(finished) == 2
    times = [path.stat().st_mtime_ns for path in finished]
    (tmp_path / "killed-scratch" / "variants-000000006-3.partial").write_bytes(b"torn")
    watch = StopAfter(10_000)
    assert build(rows, "killed", progress=watch) == figures
    assert [path.stat().st_mtime_ns for path in finished] == times
    assert watch.notes == ["augmentation resumed: 2 shards of 3 rows were already there"]
    whole, killed = ((tmp_path / name / "variants.parquet").read_bytes() for name in ("whole", "killed"))
    assert whole == killed


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


def test_neighbours_alone_do(build, rows, vectors, tmp_path):
    config = CONFIG.model_copy(update={"mlm": None})
    figures = build(rows, "near", mlm=None, vectors=vectors, config=config)
    assert figures["variants"] > 40
    with pytest.raises(ConfigError, match="both empty"):
        build(rows, "none", mlm=None, vectors=None, config=config)
    assert not (tmp_path / "none").exists()


def test_text_row_ids_stay_text(build, sentences, tmp_path):
    rows = pa.table({"row_id": [f"train-{i}" for i in range(len(sentences))], "text": sentences})
    build(rows, "named")
    made = parquet.read_table(tmp_path / "named" / "variants.parquet")
    assert set(made["origin_id"].to_pylist()) == set(rows["row_id"].to_pylist())
