"""Stage ``export``: a bundle that is whole, measured, found again, and refused when it is not the model."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from exported import export_one
from safetensors.torch import load_file, save_file
from tiny_run import Notes, Tiny
from transformers import AutoModelForSequenceClassification

from pipeline.config.export import ExportConfig
from pipeline.config.runtime import Runtime
from pipeline.data.tasks.table import load_task
from pipeline.engine.export import compare
from pipeline.engine.export import run as export_run
from pipeline.errors import ModelError, StoreError
from pipeline.export.bundle import FILES, OpenBundle, Parity, open_bundle
from pipeline.export.parity import correlation, shortfall
from pipeline.stages.export import export, export_of
from pipeline.stages.export_latency import export_latency, read_export_latency
from pipeline.store.finished import FinishedStage
from pipeline.store.materialize import materialize
from pipeline.store.stage import StageRun


def test_a_bundle_holds_what_it_says(run: Tiny, bundle: OpenBundle) -> None:
    facts = bundle.facts
    assert (facts.name, facts.task, facts.labels) == ("model", "topics", ("animal", "city", "food"))
    assert set(facts.parity) == set(FILES)
    for name in facts.files:
        assert bundle.file(name).is_file()
    assert set(facts.files) == {
        path.relative_to(bundle.folder).as_posix()
        for path in bundle.folder.rglob("*")
        if path.is_file() and path.name not in {"bundle.json", "manifest.json"}
    }
    near = facts.parity["float32"]
    assert near.rows == 24
    assert near.largest_logit_difference < 1e-5
    assert near.equal_labels == 1.0
    assert near.model_score == run.artifact("teacher").metrics["dev_score"] == near.score
    model = AutoModelForSequenceClassification.from_pretrained(bundle.folder)
    assert model.config.id2label[0] == "animal"


def test_it_is_reused_and_rebuilt_byte_for_byte(run: Tiny) -> None:
    first = run.store.open("export/v1")
    assert export_one(run, "prediction", "distilled") == first.ref
    files = {name: (first.path / name).read_bytes() for name in first.manifest.files}
    shutil.rmtree(first.path)
    again = run.store.open(export_one(run, "prediction", "distilled"))
    assert {name: (again.path / name).read_bytes() for name in again.manifest.files} == files


def test_an_artifact_stands_for_its_stage(run: Tiny) -> None:
    """What is exported by name is what the graph of the whole run would export."""
    stages = run.stages()
    assert stages.phases
    assert stages.task_data
    in_graph = export(
        ExportConfig(),
        stages.phases[-1],
        stages.task_data,
        folder="students/distilled",
        seed=5,
    )
    assert materialize(in_graph, run.store, Runtime()).state == "reused"
    tree = run.store.lineage(run.store.open("export/v1"))
    assert {below.role: below.name for below in tree.inputs} == {
        "model": run.artifact("prediction").ref,
        "task_data": run.artifact("task_data").ref,
    }


def test_every_student_has_an_artifact(run: Tiny) -> None:
    stages = export_of(run.store, run.store.open("prediction"), ExportConfig())
    assert [stage.config.folder for stage in stages] == ["students/distilled", "students/random-start"]


def test_what_holds_no_student_is_refused(run: Tiny) -> None:
    with pytest.raises(ModelError, match="holds no model that was trained on a task"):
        export_of(run.store, run.store.open("corpus"), ExportConfig())
    with pytest.raises(ModelError, match="no student 'other': choose distilled or random-start"):
        export_of(run.store, run.store.open("prediction"), ExportConfig(), "other")


def test_a_damaged_student_is_not_exported(run: Tiny) -> None:
    stages = export_of(run.store, run.store.open("prediction"), ExportConfig(bootstrap=7))
    weights = run.path("prediction") / "students" / "distilled" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(StoreError):
        materialize(stages[0], run.store, Runtime())


def spoiled_run(run: Tiny, folder: Path) -> StageRun:
    """The export of a teacher with enormous weights for a channel that is always 0: int8 has no digits for the rest."""
    model = folder / "teacher"
    shutil.copytree(run.path("teacher"), model)
    weights = load_file(model / "model" / "model.safetensors")
    for end in ("weight", "bias"):
        weights[f"bert.encoder.layer.1.output.LayerNorm.{end}"][0] = 0
    weights["bert.pooler.dense.weight"][:, 0] = 1e4
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, model / "model" / "model.safetensors")
    for name in ("output", "scratch"):
        (folder / name).mkdir()
    inputs = {"model": model, "task_data": run.path("task_data")}
    return StageRun(inputs, folder / "output", folder / "scratch", Runtime(), Notes())


def test_an_int8_file_below_the_floor_does_not_leave(run: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "spoiled"
    folder.mkdir()
    stage_run = spoiled_run(run, folder)
    export_run(stage_run, export=ExportConfig(min_parity_int8=1.0), folder="model", seed=0)
    found = open_bundle(folder / "output")
    assert list(found.facts.parity) == ["float32"]
    assert "the floor is 1" in found.facts.refused["int8"]
    assert not (folder / "output" / FILES["int8"]).exists()
    assert any("has no int8 file" in line for line in stage_run.progress.lines)  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match=r"has no variant 'int8'.*the floor is 1.*choose float32"):
        found.variant("int8")


def test_parity_has_a_floor() -> None:
    near = Parity(
        rows=10,
        largest_logit_difference=0.1,
        equal_labels=0.9,
        correlation=None,
        metric="accuracy",
        model_score=0.8,
        score=0.8,
        difference=(0.0, 0.0, 0.0),
    )
    assert shortfall(near, 0.9) is None
    assert shortfall(near, 0.95) == "0.9000 is the share of dev rows with the model's label, the floor is 0.95"
    score = near.model_copy(update={"equal_labels": None, "correlation": 0.5})
    assert shortfall(score, 0.95) == "0.5000 is the correlation of its scores with the model's, the floor is 0.95"


def test_logits_that_are_not_finite_are_refused(run: Tiny) -> None:
    task = load_task(run.path("task_data"))
    reference = np.zeros((24, 3), np.float32)
    broken = reference.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ModelError, match="1 logits of the ONNX file are not finite"):
        compare(task, reference, broken, (10, 0))


def test_correlation_of_scores() -> None:
    scores = np.array([[0.0], [1.0], [2.0]], np.float32)
    assert correlation(scores, 2 * scores + 1) == pytest.approx(1.0)
    assert correlation(scores, -scores) == pytest.approx(-1.0)
    assert correlation(np.ones_like(scores), np.ones_like(scores)) == 1.0
    assert correlation(np.ones_like(scores), scores) == 0.0


def test_a_bundle_that_was_edited_is_refused(bundle: OpenBundle) -> None:
    path = bundle.folder / FILES["float32"]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="is not the file that was exported and measured"):
        bundle.variant("float32")
    facts = json.loads((bundle.folder / "bundle.json").read_text())
    (bundle.folder / "bundle.json").write_text(json.dumps(facts | {"schema_version": 2}))
    with pytest.raises(ModelError, match=r"cannot be used \(schema_version"):
        open_bundle(bundle.folder)
    with pytest.raises(ModelError, match=r"holds no bundle\.json"):
        open_bundle(bundle.folder / "onnx")


def test_torch_is_not_changed_by_an_export(run: Tiny) -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    export_one(run, "prediction", "random-start")
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_times_are_an_artifact_apart(run: Tiny) -> None:
    bundle = FinishedStage(run.store.open("export/v2"))
    runtime = Runtime(num_threads=1)
    stage = export_latency(bundle, runtime, lengths=(8, 16, 64), batches=(1, 3), rounds=(2, 2))
    made = materialize(stage, run.store, runtime)
    found = read_export_latency(made.artifact.path)
    assert [(row["model"], row["length"], row["batch"]) for row in found["latency"]] == [
        (model, length, batch)
        for length in (8, 16)  # rows are cut at 20
        for batch in (1, 3)
        for model in ("torch", "ONNX float32", "ONNX int8")
    ]
    assert all(row["milliseconds"] > 0 for row in found["latency"])
    assert found["machine"]["onnxruntime"] == onnxruntime.__version__
    assert materialize(stage, run.store, runtime).state == "reused"
    more = export_latency(bundle, Runtime(num_threads=2), lengths=(8, 16, 64), batches=(1, 3), rounds=(2, 2))
    assert run.store.find(more) is None  # other threads, other times
    short = export_latency(bundle, runtime, lengths=(64,), batches=(1,), rounds=(2, 2))
    rows = read_export_latency(materialize(short, run.store, runtime).artifact.path)["latency"]
    assert {row["length"] for row in rows} == {20}
