"""A frozen model computes its GELUs in place: the same numbers, in less memory, and nothing can train it."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from transformers import AutoModel, PretrainedConfig

from pipeline.models.speed.frozen import freeze

Configs = Callable[[str], PretrainedConfig]
Batch = dict[str, torch.Tensor]


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "modernbert"])
@pytest.mark.parametrize("gradients", [True, False])
def test_a_frozen_model_says_the_same(family: str, gradients: bool, family_config: Configs, batch: Batch) -> None:
    torch.manual_seed(0)
    plain = AutoModel.from_config(family_config(family)).eval()
    frozen = deepcopy(plain)
    freeze(frozen)
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    with torch.set_grad_enabled(gradients):
        expected, found = (model(**inputs, output_hidden_states=True) for model in (plain, frozen))
    for one, other in zip(expected.hidden_states, found.hidden_states, strict=True):
        assert torch.equal(one, other)
    assert not found.last_hidden_state.requires_grad


def test_the_widest_array_of_a_layer_is_there_once(family_config: Configs) -> None:
    frozen = AutoModel.from_config(family_config("bert"))
    freeze(frozen)
    wide: list[int] = []
    for layer in frozen.encoder.layer:
        layer.intermediate.dense.register_forward_hook(lambda _module, _given, out: wide.append(out.data_ptr()))
        layer.intermediate.register_forward_hook(lambda _module, _given, out: wide.append(out.data_ptr()))
    with torch.no_grad():
        frozen(input_ids=torch.ones(2, 5, dtype=torch.long))
    assert wide
    assert wide[::2] == wide[1::2]
