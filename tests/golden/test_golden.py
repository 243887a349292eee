"""The tiny run learns what it learned when the references were made (``python -m tests.golden.record``)."""

import copy
import shutil
from pathlib import Path

import pytest
from golden_run import (
    RUNS,
    differences,
    ingredients,
    kind_of_machine,
    observed,
    one_process,
    read_reference,
    weights_digest,
)
from safetensors.torch import load_file, save_file

ADVICE = "if that was meant, record it: python -m tests.golden.record"


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_run_learns_what_it_did(name: str, tmp_path: Path, record_property) -> None:
    comparison, lines = differences(read_reference(name), observed(RUNS[name](tmp_path)))
    record_property("comparison", comparison)
    print(comparison)  # noqa: T201 - shown with -s or -rA, and when it fails
    assert lines == [], ADVICE


@pytest.mark.slow
def test_fingerprints_are_made_of_the_same_ingredients(tmp_path: Path) -> None:
    assert ingredients(one_process(tmp_path)) == read_reference("ingredients"), ADVICE


@pytest.mark.slow
@pytest.mark.parametrize("here", [True, False], ids=["same machine", "another machine"])
def test_one_changed_weight_of_a_loss_is_seen(here: bool, tmp_path: Path) -> None:
    """On another kind of machine too, where only the curves are compared."""
    run = one_process(tmp_path)
    shutil.rmtree(run.path("intermediate").parent)
    run.run("phases.intermediate.terms.hidden=1.01", until="intermediate")
    reference = copy.deepcopy(read_reference("one_process"))
    reference["made_on"] = kind_of_machine() | ({} if here else {"cpu": "another"})
    comparison, lines = differences(reference, observed(run))
    assert comparison.startswith("exact" if here else "curves within")
    moved = "/intermediate/training/distilled/loss" if not here else "/intermediate/curves/training/distilled/loss"
    assert any(line.startswith(moved) for line in lines), lines


def test_what_another_machine_may_differ_in() -> None:
    reference = {
        "made_on": {"torch": "1"},
        "stages": {"teacher": {"curves": {"a": {"loss": [1.0, 2.0]}}, "weights": {"model": "abc"}}},
    }
    found = copy.deepcopy(reference)
    found["stages"]["teacher"]["curves"]["a"]["loss"] = [1.0, 2.001]
    found["stages"]["teacher"]["weights"]["model"] = "abd"
    assert differences(reference, found)[1] == [
        "/teacher/curves/a/loss: 1 of 2 differ, the first at (1, 2.0, 2.001)",
        "/teacher/weights/model: 'abd' instead of 'abc'",
    ]
    found["made_on"] = {"torch": "2"}
    assert differences(reference, found) == ("curves within 0.001, weights not compared: torch 2 (recorded: 1)", [])
    found["stages"]["teacher"]["curves"]["a"] = {"loss": [1.0], "hidden": [1.0]}
    assert differences(reference, found)[1] == [
        "/teacher/a/loss: [1.0] instead of [1.0, 2.0]",
        "/teacher/a/hidden: [1.0] instead of None",
    ]


def test_a_digest_is_of_the_tensors_not_of_the_file(tmp_path: Path) -> None:
    import torch

    weights = {"a": torch.arange(6.0).view(2, 3), "b": torch.zeros(2, dtype=torch.bfloat16)}
    places = [tmp_path / name for name in ("plain", "described", "reshaped", "nudged")]
    save_file(weights, places[0])
    save_file(weights, places[1], {"format": "pt", "by": "another"})
    save_file(weights | {"a": weights["a"].view(3, 2)}, places[2])
    save_file(weights | {"b": torch.tensor([0.0, -0.0], dtype=torch.bfloat16)}, places[3])
    plain, described, reshaped, nudged = map(weights_digest, places)
    assert plain == described
    assert len({plain, reshaped, nudged}) == 3
    assert load_file(places[1]).keys() == weights.keys()
