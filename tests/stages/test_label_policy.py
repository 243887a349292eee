"""``augmentation.labels``: what it changes, what it leaves alone, and what students learn from then."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import Tiny, tiny

from pipeline.data.tokens.logits import read_logits
from pipeline.stages.phase import labels_of_variants

END = {"evaluation", "latency", "report"}
STUDENT = {"intermediate", "prediction"} | END


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    return tiny(tmp_path, finished=True)


def changed(run: Tiny, *overrides: str) -> set[str]:
    return {name for name, reason in run.plan(*overrides).items() if reason.action != "reuse"}


@pytest.mark.parametrize(
    ("overrides", "stages"),
    [
        (["augmentation.labels=teacher"], set()),
        (["augmentation.labels=agree"], STUDENT),
        (["augmentation.labels=origin"], {"prediction"} | END),
    ],
)
def test_it_is_part_of_the_stages_that_it_changes(run: Tiny, overrides: list[str], stages: set[str]) -> None:
    assert changed(run, *overrides) == stages


@pytest.mark.parametrize(
    ("labels", "more", "seen"),
    [
        ("agree", "phases.prediction.augmented=false", "teacher"),
        ("origin", "phases.prediction.augmented=false", "teacher"),
        ("agree", "phases.prediction.terms={soft: 0, hard: 1}", "teacher"),
        ("origin", "phases.prediction.terms={soft: 0, hard: 1}", "origin"),
        ("agree", "phases.prediction.terms.soft.temperature=2", "agree"),
    ],
)
def test_what_a_phase_never_sees_is_no_part_of_it(run: Tiny, labels: str, more: str, seen: str) -> None:
    config = run.config(f"augmentation.labels={labels}", more)
    assert labels_of_variants(config, config.phases[-1]) == seen


def flipped(run: Tiny) -> int:
    """How many variants the teacher gives another label than their origin, told by plain means."""
    from pyarrow import parquet

    ids = [
        row_id
        for stage, name in (("task_data", "train"), ("task_data", "unlabelled"))
        for row_id in parquet.read_table(run.path(stage) / f"{name}.parquet")["row_id"].to_pylist()
    ]
    variants = parquet.read_table(run.path("augmentation") / "variants.parquet")["origin_id"].to_pylist()
    best = read_logits(run.path("teacher_logits") / "logits.arrow").argmax(1)
    said = dict(zip(ids, best, strict=False))
    return sum(said[origin] != label for origin, label in zip(variants, best[len(ids) :], strict=True))


def test_variants_that_disagree_are_dropped_from_both_phases(run: Tiny) -> None:
    rows = run.artifact("teacher_logits").metrics["rows"]
    lost = flipped(run)
    assert lost > 0
    assert run.artifact("teacher_logits").metrics["quality"]["teacher"]["flip_rate"] == pytest.approx(
        lost / run.artifact("augmentation").metrics["variants"]
    )
    assert {run.artifact(stage).metrics["rows"] for stage in ("intermediate", "prediction")} == {rows}
    before = run.students()
    outcomes = run.run("augmentation.labels=agree", until="prediction")
    assert outcomes["teacher_logits"].state == outcomes["augmentation"].state == "reused"
    assert {outcomes[stage].artifact.metrics["rows"] for stage in ("intermediate", "prediction")} == {rows - lost}
    assert run.students() != before


def curve(run: Tiny) -> Any:
    return json.loads((run.path("prediction") / "training_history.json").read_text())["distilled"]["curve"][0]


def test_a_variant_may_carry_its_origins_logits(run: Tiny) -> None:
    before = curve(run)["soft"]
    outcomes = run.run("augmentation.labels=origin", until="prediction")
    assert outcomes["intermediate"].state == "reused"
    assert outcomes["prediction"].artifact.metrics["rows"] == run.artifact("teacher_logits").metrics["rows"]
    assert np.isfinite(curve(run)["soft"])
    assert curve(run)["soft"] != before


def test_a_variant_may_carry_its_origins_gold_label(run: Tiny) -> None:
    gold = ("phases.prediction.terms={soft: 0, hard: 1}", "phases.intermediate=null")
    assert run.run(*gold, until="prediction")["prediction"].artifact.metrics["rows"] == 48
    outcomes = run.run(*gold, "augmentation.labels=origin", until="prediction")
    variants = run.artifact("augmentation").metrics["variants"]
    assert outcomes["prediction"].artifact.metrics["rows"] == 48 + variants
    assert np.isfinite(curve(run)["hard"])
