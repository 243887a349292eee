"""The teacher store under a whole run: what it saves, and that nothing else in the store minds it."""

import shutil
from pathlib import Path

import pytest
from tiny_run import Tiny, save_teacher, tiny

from pipeline.engine.teacher_cache.build import CACHE_DIR

OPTIONS = (
    *("phases.intermediate.training.epochs=5", "general_distillation.training.epochs=5"),
    "runtime.teacher_store=always",  # what is measured of models so small is the machine's
)
STAGES = ("general_distillation", "intermediate")


def deep(folder: Path) -> Tiny:
    """A tiny run with a teacher of many layers."""
    run = tiny(folder)
    save_teacher(run.folder / "teacher", num_hidden_layers=12)
    return run


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    run = deep(tmp_path_factory.mktemp("stored"))
    run.run(*OPTIONS, until="intermediate")
    return run


def test_stored_features_give_the_same_students_and_loss_curves(stored: Tiny, tmp_path: Path) -> None:
    run = deep(tmp_path)
    run.run(*OPTIONS, "runtime.teacher_store_gb=0", until="intermediate")
    for stage in STAGES:
        told = stored.artifact(stage).metrics["teacher_store"]
        again = run.artifact(stage).metrics["teacher_store"]
        assert told["stored"]
        assert told["batches"]["computed"] == told["batches"]["written"] > 0
        assert told["batches"]["read"] >= 4 * told["batches"]["computed"]
        assert again["reason"] == "teacher features recomputed: runtime.teacher_store_gb is 0"
        assert again["batches"]["computed"] == 5 * told["batches"]["computed"]
        assert stored.artifact(stage).manifest.digest == run.artifact(stage).manifest.digest
        assert stored.artifact(stage).manifest.fingerprint == run.artifact(stage).manifest.fingerprint
    assert not (run.folder / "artifacts" / CACHE_DIR).exists()


def test_a_sweep_reads_from_its_first_step(stored: Tiny, tmp_path: Path) -> None:
    run = Tiny(shutil.copytree(stored.folder, tmp_path / "sweep"))
    run.run(*OPTIONS, "phases.intermediate.training.learning_rate=1e-4", until="intermediate")
    told = run.artifact("intermediate").metrics["teacher_store"]
    assert told["batches"]["computed"] == 0
    assert told["batches"]["read"] == 5 * stored.artifact("intermediate").metrics["teacher_store"]["batches"]["written"]
    run.run(
        *OPTIONS, "phases.intermediate.training.epochs=1", "phases.intermediate.terms.hidden=2", until="intermediate"
    )
    assert run.artifact("intermediate").metrics["teacher_store"]["batches"]["computed"] == 0
    assert len(list((run.folder / "artifacts" / CACHE_DIR).iterdir())) == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("phases.intermediate.teacher_dropout=true", "the teacher's dropout is on"),
        ("phases.intermediate.terms.hidden.count_padding=true", "padding counts, which is not stored"),
        ("phases.intermediate.training.drop_last=true", "drop_last draws other batches each epoch"),
    ],
)
def test_what_cannot_be_read_back_as_it_would_be_computed_is_not_stored(
    change: str, why: str, stored: Tiny, tmp_path: Path
) -> None:
    run = Tiny(shutil.copytree(stored.folder, tmp_path / "other"))
    run.run(*OPTIONS, change, "phases.intermediate.training.epochs=2", until="intermediate")
    told = run.artifact("intermediate").metrics["teacher_store"]
    assert told["reason"] == f"teacher features recomputed: {why}"
    assert told["batches"]["read"] == 0


def test_the_store_lists_verifies_and_prunes_around_it(stored: Tiny, tmp_path: Path) -> None:
    run = Tiny(shutil.copytree(stored.folder, tmp_path / "kept"))
    found = run.store.list()
    assert {one.manifest.stage for one in found}.isdisjoint({CACHE_DIR, CACHE_DIR.removeprefix(".")})
    assert not [line for one in found for line in run.store.verify(one)]
    assert run.store.damaged() == []
    assert run.store.prune(0)
    assert (run.folder / "artifacts" / CACHE_DIR).is_dir()
    assert run.store.list() == []


def test_logits_say_what_a_pass_of_the_teacher_costs(stored: Tiny) -> None:
    told = stored.artifact("teacher_logits").metrics["logits"]
    assert told["bytes"] == (stored.path("teacher_logits") / "logits.arrow").stat().st_size
    assert told["teacher_seconds_a_pass"] == pytest.approx(told["teacher_seconds"])  # nothing was resumed
    assert min(told["teacher_seconds"], told["read_seconds"]) > 0
    assert told["storing_pays"]
