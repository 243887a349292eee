"""A student for pairs that answers with a score: exported, asked on the command line and over HTTP."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from fastapi.testclient import TestClient
from tiny_run import Notes, save_teacher, sentences
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from flows.cli import main
from pipeline.config.export import ExportConfig
from pipeline.config.runtime import Runtime
from pipeline.data.tasks.table import TaskData, save_task
from pipeline.engine.export import run as export_run
from pipeline.export.bundle import OpenBundle, open_bundle
from pipeline.export.onnx_scorer import OnnxScorer
from pipeline.export.serving.application import ServerSettings, build_application
from pipeline.export.serving.batcher import BatchLimits
from pipeline.export.serving.requests import RequestLimits
from pipeline.export.serving.served import Served
from pipeline.models.load import save_model
from pipeline.store.stage import StageRun

PAIRS = [(one, other) for (one, _), (other, _) in zip(sentences(20, 7), sentences(20, 8), strict=True)]


def task() -> TaskData:
    table = pa.table(
        {
            "row_id": pa.array(range(20), pa.int64()),
            "text": [one for one, _ in PAIRS],
            "text_pair": [other for _, other in PAIRS],
            "label": pa.array(np.linspace(0, 5, 20), pa.float64()),
        }
    )
    splits = {"train": table, "dev": table}
    return TaskData("likeness", "regression", (), "pearson_spearman", True, (0.0, 5.0), 24, splits, {"warnings": []})


@pytest.fixture
def bundle(tmp_path: Path) -> OpenBundle:
    save_teacher(tmp_path / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    torch.manual_seed(2)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    config = BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=48, num_labels=1, problem_type="regression", **shape
    )
    model = BertForSequenceClassification(config)
    model.classifier.weight.data *= 30  # scores that differ
    save_model(model, tokenizer, tmp_path / "student" / "model", max_length=24)
    save_task(task(), tmp_path / "task")
    for name in ("output", "scratch"):
        (tmp_path / name).mkdir()
    inputs = {"model": tmp_path / "student", "task_data": tmp_path / "task"}
    run = StageRun(inputs, tmp_path / "output", tmp_path / "scratch", Runtime(), Notes())
    export_run(run, export=ExportConfig(min_parity_int8=0.0), folder="model", seed=0)
    return open_bundle(tmp_path / "output")


def test_a_score_for_pairs(bundle: OpenBundle, capsys: pytest.CaptureFixture[str]) -> None:
    facts = bundle.facts
    assert (facts.kind, facts.pair, facts.labels) == ("regression", True, ("score",))
    near = facts.parity["float32"]
    assert near.equal_labels is None
    assert near.correlation == pytest.approx(1.0)
    assert near.metric == "pearson_spearman"
    rows = bundle.folder / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({"text": a, "text_pair": b}) for a, b in PAIRS), encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        main(["predict", str(bundle.folder), str(rows)])
    assert not left.value.code
    by_file = [json.loads(line)["score"] for line in capsys.readouterr().out.splitlines()]
    assert len(set(by_file)) > 10
    served = Served(lambda: bundle, lambda found: OnnxScorer(found, found.variant("float32"), 1))
    application = build_application(served, ServerSettings(BatchLimits(), RequestLimits()))
    with TestClient(application) as client:
        asked = {"rows": [{"text": a, "text_pair": b} for a, b in PAIRS]}
        by_http = [one["score"] for one in client.post("/predict", json=asked).json()["predictions"]]
        assert by_http == pytest.approx(by_file, abs=2e-6)
        refused = client.post("/predict", json={"text": "alone"})
        assert refused.status_code == 400
        assert '"text_pair"' in refused.json()["error"]


def test_the_readme_says_how_it_is_asked(bundle: OpenBundle) -> None:
    text = bundle.file("README.md").read_text(encoding="utf-8")
    assert '{"text": "...", "text_pair": "..."}' in text
    assert "dims: [ 1 ]" in text
    assert "depends a little on the rows beside it" in text
    for name in bundle.facts.inputs:
        assert f'name: "{name}"' in text
