"""A BERT so small that a test builds it anew, and three rows for it, as fixtures."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    PreTrainedModel,
)

KINDS = {
    "encoder": AutoModel,
    "classifier": AutoModelForSequenceClassification,
    "masked_lm": AutoModelForMaskedLM,
}


def bert(kind: str, seed: int = 0, **changed: Any) -> PreTrainedModel:
    shape = {
        "vocab_size": 40,
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 32,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    torch.manual_seed(seed)
    return KINDS[kind].from_config(BertConfig(**(shape | changed)))


@pytest.fixture
def make_bert() -> Callable[..., PreTrainedModel]:
    return bert


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    mask = torch.arange(7) < torch.tensor([7, 4, 5])[:, None]
    ids = torch.randint(5, 40, (3, 7), generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
