"""The candidates of a run: made once, for any number of variants, probability and seed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir
from pathlib import Path

import pytest
import torch
from pyarrow import parquet
from tiny_run import Tiny, tiny

from pipeline.augmentation.candidates.files import StoredCandidates
from pipeline.augmentation.candidates.table import Candidates, CandidateTable
from pipeline.augmentation.variants.shards import open_batches
from pipeline.data.tasks import table
from pipeline.engine import candidates as work
from pipeline.errors import ConfigError
from pipeline.store.materialize import materialize


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    return tiny(tmp_path, finished=True)


@pytest.mark.parametrize(
    "changes",
    [
        ("augmentation.variants=3",),
        ("augmentation.probability=0.7",),
        ("augmentation.seed=6",),
        ("augmentation.pair_mutation=true", "relu_logits=true"),
    ],
)
def test_another_draw_loads_no_model(run: Tiny, changes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(work, "load_masked_lm", never)
    assert run.plan(*changes)["candidates"].action == "reuse"
    outcomes = run.run(*changes, until="augmentation")
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "task_data": "reused",
        "candidates": "reused",
        "augmentation": "completed",
    }


def test_a_seed_of_its_own_draws_other_variants_and_the_runs_own_the_same(run: Tiny) -> None:
    def variants() -> list[str]:
        return parquet.read_table(run.path("augmentation") / "variants.parquet")["text"].to_pylist()

    before = variants()
    run.run("augmentation.seed=6", until="augmentation")
    assert variants() != before
    assert run.plan("augmentation.seed=5")["augmentation"].action == "reuse"  # the run's own is 5


def test_the_released_slip_goes_with_the_released_codes_habits(run: Tiny) -> None:
    with pytest.raises(ConfigError, match="goes with its recipe, whose mark is relu_logits: set it to false") as error:
        run.plan("augmentation.pair_mutation=true")
    assert "\n" not in str(error.value)
    assert run.plan("augmentation.pair_mutation=true", "relu_logits=true")["augmentation"].action == "run"


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
    monkeypatch.setattr(work, "load_masked_lm", None)
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
    monkeypatch.setattr(work, "SHARD_SENTENCES", 5)
    monkeypatch.setattr(table, "READ_ROWS", 7)
    other = tiny(tmp_path / "other")
    other.run(until="augmentation")
    tables = [parquet.read_table(each.path("augmentation") / "variants.parquet") for each in (run, other)]
    assert tables[0].equals(tables[1])


def test_a_shard_is_made_with_the_leaders_threads_whoever_makes_it(run: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Watched(CandidateTable):
        def build(self, texts: Iterable[str]) -> dict[str, Candidates]:
            seen.append(torch.get_num_threads())
            return super().build(texts)

    def elsewhere(make: Callable[[int], None], shards: Sequence[int]) -> Iterator[int]:
        for number in shards:
            torch.set_num_threads(1)  # as a worker begins that was started with OMP_NUM_THREADS=1
            make(number)
            yield number

    monkeypatch.setattr(work, "CandidateTable", Watched)
    monkeypatch.setattr(work, "SHARD_SENTENCES", 20)
    changes = ("runtime.num_threads=3", "augmentation.candidates=3")
    made = {each.name: each for each in run.stages(*changes, until="candidates")}
    before = torch.get_num_threads()
    try:
        with chdir(run.folder):
            materialize(made["candidates"], run.store, run.config(*changes).runtime, run.notes, fan_out=elsewhere)
    finally:
        torch.set_num_threads(before)
    assert len(seen) > 2
    assert set(seen) == {3}
    assert run.artifact("candidates").metrics["threads"] == 3


def test_the_model_is_let_go_when_the_stage_is_done(run: Tiny) -> None:
    run.run("augmentation.candidates=3", until="augmentation")
    assert work._table.cache_info().currsize == 0
