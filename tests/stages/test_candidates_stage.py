"""The candidates of a run: made once, for any number of variants, probability and seed."""

from pathlib import Path

import pytest
from pyarrow import parquet
from tiny_run import Tiny, tiny

from pipeline.augmentation.candidate_files import StoredCandidates
from pipeline.augmentation.shards import open_batches
from pipeline.models import load
from pipeline.stages import candidates as stage


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    return tiny(tmp_path, finished=True)


@pytest.mark.parametrize(
    "change", ["augmentation.variants=3", "augmentation.probability=0.7", "augmentation.pair_mutation=true"]
)
def test_another_draw_loads_no_model(run: Tiny, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(load, "load_masked_lm", never)
    assert run.plan(change)["candidates"].action == "reuse"
    outcomes = run.run(change, until="augmentation")
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "task_data": "reused",
        "candidates": "reused",
        "augmentation": "completed",
    }


@pytest.mark.parametrize(
    "change",
    [
        "augmentation.candidates=4",
        "augmentation.context=masked",
        "augmentation.masks_per_forward=2",
        "augmentation.masks_per_forward=all",
        "augmentation.unlabelled=true",
        "augmentation.words.protect=[otter]",
    ],
)
def test_what_the_candidates_depend_on_is_part_of_them(run: Tiny, change: str) -> None:
    steps = run.plan(change)
    assert (steps["candidates"].action, steps["augmentation"].action) == ("run", "run")
    assert change.split("=", maxsplit=1)[0].rsplit(".", maxsplit=1)[-1] in " ".join(steps["candidates"].reasons)


@pytest.mark.parametrize("change", ["runtime.workers={kind: threads, count: 2}", "augmentation.labels=origin"])
def test_nothing_else_is(run: Tiny, change: str) -> None:
    assert run.plan(change)["candidates"].action == "reuse"


def test_without_masks_their_number_makes_no_difference(run: Tiny) -> None:
    run.run("augmentation.context=unmasked", until="candidates")
    steps = run.plan("augmentation.context=unmasked", "augmentation.masks_per_forward=3")
    assert steps["candidates"].action == "reuse"


def test_augmenters_that_propose_nothing_need_no_masked_lm(run: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "load_masked_lm", None)
    outcomes = run.run("augmentation.augmenters=[{mask: {probability: 0.5}}]", until="augmentation")
    assert set(outcomes["candidates"].artifact.manifest.inputs) == {"task_data", "tokenizer"}
    assert outcomes["candidates"].artifact.metrics["candidates"] == 0
    variants = parquet.read_table(run.path("augmentation") / "variants.parquet")["text"].to_pylist()
    assert all("[MASK]" in text for text in variants)
    assert len(variants) > 48


def test_every_distinct_sentence_is_there_once(run: Tiny) -> None:
    rows = parquet.read_table(run.path("task_data") / "train.parquet")["text"].to_pylist()
    folder = run.path("candidates")
    numbers = open_batches(folder / "rows.arrow").get_batch(0)["text"].to_numpy()
    stored = StoredCandidates(folder).read(numbers)
    assert list(stored) == list(dict.fromkeys(rows))
    metrics = run.artifact("candidates").metrics
    assert (metrics["rows"], metrics["sentences"]) == (len(rows), len(stored))
    assert metrics["words_with_candidates"] == sum(len(found.words) for found in stored.values()) > 0


def test_shards_leave_their_bounds_in_no_result(run: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "SHARD_SENTENCES", 5)
    monkeypatch.setattr(stage, "READ_ROWS", 7)
    other = tiny(tmp_path / "other")
    other.run(until="augmentation")
    tables = [parquet.read_table(each.path("augmentation") / "variants.parquet") for each in (run, other)]
    assert tables[0].equals(tables[1])


def test_the_model_is_let_go_when_the_stage_is_done(run: Tiny) -> None:
    run.run("augmentation.candidates=3", until="augmentation")
    assert stage._table.cache_info().currsize == 0
