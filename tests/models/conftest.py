from collections.abc import Callable

import pytest
import torch
from transformers import (
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    PretrainedConfig,
    RobertaConfig,
)

SHAPE = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 16,
    "max_position_embeddings": 32,
}
FAMILIES: dict[str, Callable[..., PretrainedConfig]] = {
    "bert": lambda: BertConfig(**SHAPE),
    "roberta": lambda: RobertaConfig(**SHAPE, type_vocab_size=1, pad_token_id=1),
    "electra": lambda: ElectraConfig(**SHAPE, embedding_size=10),
    "distilbert": lambda: DistilBertConfig(
        vocab_size=40, dim=24, n_layers=4, n_heads=3, hidden_dim=16, max_position_embeddings=32
    ),
    "deberta": lambda: DebertaV2Config(**SHAPE),
    "modernbert": lambda: ModernBertConfig(
        **SHAPE, local_attention=4, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2
    ),
}


@pytest.fixture
def family_config() -> Callable[[str], PretrainedConfig]:
    return lambda name: FAMILIES[name]()


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Two rows of 9 and 5 tokens, two segments, padded with id 1."""
    mask = torch.arange(9) < torch.tensor([9, 5])[:, None]
    ids = torch.randint(5, 40, (2, 9), generator=torch.Generator().manual_seed(3))
    return {
        "input_ids": ids.where(mask, torch.tensor(1)),
        "attention_mask": mask,
        "token_type_ids": ((torch.arange(9) > 2) & mask).long(),
    }
