"""A classifier as an ONNX file: right at every size, the same bytes again, and silent."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from small_bert import bert
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from pipeline.errors import ModelError
from pipeline.evaluation.latency import longest_input
from pipeline.export.onnx_file import INPUTS, build_onnx, quantize, save_onnx
from pipeline.models.released import relu_before_classifier

SMALL = {"vocab_size": 40, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


def roberta() -> PreTrainedModel:
    torch.manual_seed(3)
    return RobertaForSequenceClassification(RobertaConfig(**SMALL, max_position_embeddings=34, pad_token_id=1))


def distilbert() -> PreTrainedModel:
    torch.manual_seed(4)
    config = DistilBertConfig(vocab_size=40, dim=12, n_layers=2, n_heads=2, hidden_dim=16, max_position_embeddings=32)
    return DistilBertForSequenceClassification(config)


def question(rows: int, pieces: int, inputs: tuple[str, ...], pad: int) -> dict[str, np.ndarray]:
    """Rows of different lengths, the first without padding."""
    lengths = np.maximum(1, pieces - np.arange(rows) % pieces)
    mask = (np.arange(pieces) < lengths[:, None]).astype(np.int64)
    ids = np.random.default_rng(rows * pieces).integers(5, 40, (rows, pieces)) * mask + pad * (1 - mask)
    values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: values[name] for name in inputs}


def answers(path: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert {one.name for one in session.get_inputs()} == set(inputs)
    (logits,) = session.run(["logits"], inputs)
    return np.asarray(logits)


def expected(model: PreTrainedModel, inputs: dict[str, np.ndarray]) -> np.ndarray:
    with torch.inference_mode():
        return model(**{name: torch.from_numpy(array) for name, array in inputs.items()}).logits.numpy()


@pytest.mark.parametrize(
    ("model", "inputs", "pad"),
    [(bert("classifier"), INPUTS, 0), (roberta(), INPUTS[:2], 1), (distilbert(), INPUTS[:2], 0)],
    ids=["bert", "roberta", "distilbert"],
)
def test_rows_and_word_pieces_are_free(
    model: PreTrainedModel, inputs: tuple[str, ...], pad: int, tmp_path: Path
) -> None:
    graph = build_onnx(model, inputs, longest_input(model))
    save_onnx(graph, tmp_path / "onnx" / "model.onnx")
    assert [path.name for path in (tmp_path / "onnx").iterdir()] == ["model.onnx"]  # the weights are in it
    for rows, pieces in ((1, 1), (1, 9), (3, 2), (5, 32)):
        asked = question(rows, pieces, inputs, pad)
        found = answers(tmp_path / "onnx" / "model.onnx", asked)
        np.testing.assert_allclose(found, expected(model, asked), atol=2e-6)


def test_the_same_model_gives_the_same_bytes_and_names_no_folder(tmp_path: Path) -> None:
    for name in ("one.onnx", "two.onnx"):
        graph = build_onnx(bert("classifier"), INPUTS, 32)
        save_onnx(graph, tmp_path / name)
        save_onnx(quantize(graph, INPUTS, reduce_range=False), tmp_path / f"int8-{name}")
    for kind in ("", "int8-"):
        data = (tmp_path / f"{kind}one.onnx").read_bytes()
        assert data == (tmp_path / f"{kind}two.onnx").read_bytes()
        for word in (b"site-packages", b"/home", str(Path(__file__).parents[2]).encode(), b"stack_trace"):
            assert word not in data


def test_quantising_leaves_the_graph_as_it_was_and_comes_near(tmp_path: Path) -> None:
    model = bert("classifier", hidden_size=32, intermediate_size=64)
    graph = build_onnx(model, INPUTS, 32)
    save_onnx(graph, tmp_path / "before.onnx")
    small = quantize(graph, INPUTS, reduce_range=False)
    save_onnx(graph, tmp_path / "after.onnx")
    save_onnx(small, tmp_path / "int8.onnx")
    assert (tmp_path / "before.onnx").read_bytes() == (tmp_path / "after.onnx").read_bytes()
    asked = question(4, 12, INPUTS, 0)
    exact, near = expected(model, asked), answers(tmp_path / "int8.onnx", asked)
    assert 0 < np.abs(exact - near).max() < 0.05


def test_a_released_models_relu_is_in_the_file(tmp_path: Path) -> None:
    model = bert("classifier")
    asked = question(2, 6, INPUTS, 0)
    plain = expected(model.eval(), asked)
    relu_before_classifier(model)
    save_onnx(build_onnx(model, INPUTS, 32), tmp_path / "model.onnx")
    found = answers(tmp_path / "model.onnx", asked)
    np.testing.assert_allclose(found, expected(model, asked), atol=2e-6)
    assert np.abs(found - plain).max() > 1e-3


def test_a_model_without_an_onnx_form_is_one_line() -> None:
    class Branching(type(bert("classifier"))):  # type: ignore[misc]
        def forward(self, input_ids: torch.Tensor, **others: Any) -> Any:
            if input_ids.sum().item() > 7:  # depends on the data: no graph can say so
                return super().forward(input_ids, **others)
            return super().forward(input_ids + 1, **others)

    model = Branching(bert("classifier").config)
    with pytest.raises(ModelError, match="Branching has no ONNX form") as refused:
        build_onnx(model, INPUTS, 32)
    assert "\n" not in str(refused.value)


def test_nothing_is_printed_and_logging_is_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    before = logging.root.manager.disable
    graph = build_onnx(bert("classifier"), INPUTS, 32)
    quantize(graph, INPUTS, reduce_range=True)
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == before
