"""Runs with several seeds side by side: shared stages once, the table that of the evaluations."""

import csv
import json
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import Tiny, tiny

from pipeline.config.variants import Variant, ablated, recipes_compared
from pipeline.errors import ConfigError
from pipeline.stages.comparison import Comparison, comparison
from pipeline.stages.graph import two_stage
from pipeline.store.materialize import materialize

SHORT = ("general_distillation.training.max_steps=2", "phases.*.training.max_steps=2", "evaluation.tfidf=false")
ONE = ("students.random-start=null", *SHORT)


def compared(run: Tiny, variants: list[Variant], seeds: int) -> Comparison:
    return comparison({one.name: one.seeded(seeds) for one in variants}, 50, run.store)


def made(run: Tiny, wanted: Comparison) -> tuple[dict[str, Any], list[str]]:
    """What the table says, and the stages that were not there before, in order."""
    new = [
        stage.name
        for config, until in wanted.runs
        for stage in two_stage(config, until)
        if materialize(stage, run.store, config.runtime, run.notes).state != "reused"
    ]
    done = materialize(wanted.stage, run.store, wanted.runs[0][0].runtime, run.notes)
    folder = done.artifact.path
    assert "<svg" in (folder / "comparison.html").read_text("utf-8")
    rows = list(csv.DictReader((folder / "comparison.csv").open(encoding="utf-8")))
    found: dict[str, Any] = json.loads((folder / "comparison.json").read_text("utf-8"))
    assert [row["name"] for row in rows] == [row["name"] for row in found["results"]]
    return found, new


@pytest.mark.slow
def test_an_ablation_shares_what_it_can_and_means_what_its_runs_scored(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    changes = tmp_path / "changes.yaml"
    changes.write_text("no-hidden: {phases.intermediate.terms.hidden: 0}\nas-it-is: {evaluation.bootstrap: 20}\n")
    with chdir(run.folder):
        variants, remarks = ablated("tiny.yaml", ONE, None, str(changes))
        wanted = compared(run, variants, seeds=2)
        found, new = made(run, wanted)
        assert remarks == []
        assert wanted.alike == ("as-it-is",)  # which changes nothing, and is no second row
        shared = ("corpus", "task_data", "teacher", "candidates", "augmentation", "teacher_logits")
        assert [name for name in new if name in shared] == list(shared)
        assert new.count("general_distillation") == 2  # once a seed; the intermediate phase alone differs
        assert new.count("intermediate") == new.count("evaluation") == 4
        assert new.count("latency") == 2
        names = [row["name"] for row in found["results"]]
        assert names == ["all", "no-hidden", "label-only"]
        for place, (config, _) in enumerate(wanted.runs):
            evaluation = two_stage(config).evaluation
            assert evaluation is not None
            scored = json.loads((run.store.get(evaluation).path / "results.json").read_text("utf-8"))["results"]
            of_run = {row["name"]: row["metrics"]["accuracy"] for row in scored}
            row = found["results"][place // 2]
            assert row["by_seed"][place % 2] == pytest.approx(of_run["distilled"])
        assert [row["mean"] for row in found["results"]] == pytest.approx(
            [np.mean(row["by_seed"]) for row in found["results"]]
        )
        assert found["results"][0]["difference"] is None
        assert all(0 < row["difference"]["p"] <= 1 for row in found["results"][1:])
        assert found["results"][0]["seconds"] > 0
        assert made(run, compared(run, variants, seeds=2))[1] == []  # the same again costs nothing
        assert "evaluation" in made(run, compared(run, variants, seeds=3))[1]  # a seed more: those of before stay


def test_an_ablation_takes_out_and_never_adds(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    with chdir(run.folder):
        variants, remarks = ablated(
            "tiny.yaml", ("general_distillation=null", "students.distilled.start=teacher"), None, None
        )
        plain = {one.name: one.config for one in variants}
        assert remarks == ["no-general-distillation is left out: this run has no general distillation to leave out"]
        assert all(config.general_distillation is None for config in plain.values())
        variants, _ = ablated("tiny.yaml", ("students.random-start.start=teacher",), None, None)
        starts = {one.name: [student.start for student in one.config.students] for one in variants}
    assert starts["no-general-distillation"] == ["random", "teacher"]
    assert starts["no-attention"] == ["general", "teacher"]


def test_runs_of_a_comparison_keep_what_its_table_needs(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    seeded = Variant("one", run.config("runtime.retention={keep: 1}")).seeded(2)
    assert [config.runtime.retention for config in seeded] == [None, None]


def test_a_seed_of_the_students_moves_nothing_above_them(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    with chdir(run.folder):
        plain, seeded = run.stages(), run.stages("student_seed=9")
        resolver = run.store.resolver()
        pairs = zip(plain, seeded, strict=True)
        moved = {one.name for one, other in pairs if resolver.fingerprint(one) != resolver.fingerprint(other)}
    students = {"general_distillation", "intermediate", "prediction", "label_only", "evaluation", "latency", "report"}
    assert moved == students
    assert run.config("student_seed=5").seed_of_students == run.config().seed_of_students


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    with chdir(run.folder):
        with pytest.raises(ConfigError, match=r"tiny.yaml sets phases, which is what the recipes are compared by"):
            recipes_compared("tiny.yaml", [], ["hinton", "tinybert"])
        with pytest.raises(ConfigError, match="recipe hinton is compared with itself: name it once"):
            recipes_compared(None, ["task.dir=."], ["hinton", "hinton"])
        one = Variant("one", run.config())
        with pytest.raises(ConfigError, match="two and one are the same run: there is nothing to compare"):
            compared(run, [one, Variant("two", run.config())], 1)
        with pytest.raises(ConfigError, match="two draws other rows than one: compare runs of one task"):
            compared(run, [one, Variant("two", run.config("task.train_rows=20"))], 1)
        longer = run.config("task.max_length=24", "phases.prediction.training.epochs=2")
        assert compared(run, [one, Variant("longer", longer)], 1).alike == ()  # the same rows, cut elsewhere
        with pytest.raises(ConfigError, match="two has no task"):
            compared(run, [one, Variant("two", run.config("task=null"))], 1)
        (tmp_path / "wrong.yaml").write_text("no-thing: {phases.nothing.terms.soft: 1}\n")
        with pytest.raises(ConfigError, match=r"wrong.yaml: no-thing: .*nothing"):
            ablated("tiny.yaml", [], None, str(tmp_path / "wrong.yaml"))
        (tmp_path / "wrong.yaml").write_text("no-thing: 3\n")
        with pytest.raises(ConfigError, match="no-thing is no ablation"):
            ablated("tiny.yaml", [], None, str(tmp_path / "wrong.yaml"))


def test_the_paper_s_ablations_fit_its_recipe(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    with chdir(run.folder):
        variants, remarks = ablated("tiny.yaml", [], None, None)
    assert remarks == []
    assert [one.name for one in variants][:3] == ["all", "no-general-distillation", "no-intermediate-phase"]
    by_name = {one.name: one.config for one in variants}
    assert by_name["no-general-distillation"].general_distillation is None
    assert [phase.name for phase in by_name["no-intermediate-phase"].phases] == ["prediction"]
    assert {student.layer_map for student in by_name["top-layers"].students} == {"top"}
