from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from pipeline.data.tokens.tokenizer import train_wordpiece
from pipeline.engine import inference
from pipeline.engine.inference import predict_logits
from pipeline.engine.rows import write_rows
from pipeline.models.taps import encode
from pipeline.progress import Silent

TOKENIZER = train_wordpiece(["one two three four five six seven eight"] * 20, 40)
COUNTS = [5, 1, 8, 3, 3, 7, 2]


@pytest.fixture
def table(tmp_path: Path) -> Any:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    texts = pa.table({"row_id": list(range(len(COUNTS))), "text": [" ".join(words[:n]) for n in COUNTS]})
    return write_rows(tmp_path, [texts], TOKENIZER, max_length=32, progress=Silent())


def test_logits_are_those_of_each_row_alone_in_the_order_of_the_rows(
    make_bert: Callable[..., Any], table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_bert("classifier", num_labels=3, hidden_dropout_prob=0.5).train()
    monkeypatch.setattr(inference, "INFERENCE_TOKENS", 24)  # several batches
    found = predict_logits(model, table, pad_id=0)
    assert model.training
    model.eval()
    for row in range(len(COUNTS)):
        arrays = table.rows([row])
        alone = encode(model, {name: torch.from_numpy(array) for name, array in arrays.items()}).logits
        np.testing.assert_allclose(found[row], alone[0].detach().numpy(), atol=1e-6)
    some = predict_logits(model, table, pad_id=0, rows=np.array([5, 1, 1]))
    np.testing.assert_allclose(some, found[[5, 1, 1]], atol=1e-6)


def test_no_rows_have_no_logits(make_bert: Callable[..., Any], table: Any) -> None:
    model = make_bert("classifier")
    assert predict_logits(model, table, pad_id=0, rows=np.zeros(0, np.int64)).shape[0] == 0


def test_a_model_goes_on_training_after_it_was_read(make_bert: Callable[..., Any], table: Any) -> None:
    """Nothing that inference mode made stays behind in the model."""
    model = make_bert("classifier").train()
    predict_logits(model, table, pad_id=0)
    arrays = table.rows([0, 1])
    encode(model, {name: torch.from_numpy(array) for name, array in arrays.items()}).logits.sum().backward()
    assert model.classifier.weight.grad is not None
