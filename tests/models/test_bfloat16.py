"""In bfloat16 the products are; weights that are trained, hidden states and layer norms stay float32."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from reading import read_layers
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from pipeline.models.precision import autocast, exact_float32, prepare_teacher

Configs = Callable[[str], PretrainedConfig]
Batch = dict[str, torch.Tensor]
CPU = torch.device("cpu")


def encoder(config: PretrainedConfig) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModel.from_config(config).eval()


def test_float32_leaves_a_teacher_as_it_is(family_config: Configs, batch: Batch) -> None:
    plain = encoder(family_config("bert"))
    teacher = deepcopy(plain)
    prepare_teacher(teacher, "float32")
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    with torch.no_grad(), autocast("float32", CPU):
        expected, found = (read_layers(model, [2], batch) for model in (plain, teacher))
    assert torch.equal(found[1][0], expected[1][0])
    assert torch.equal(found[2][0][0], expected[2][0][0])


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "modernbert"])
def test_a_bfloat16_teacher_says_the_same_but_for_rounding(family: str, family_config: Configs, batch: Batch) -> None:
    plain = encoder(family_config(family))
    teacher = deepcopy(plain)
    prepare_teacher(teacher, "bfloat16")
    real = batch["attention_mask"]
    with torch.no_grad():
        embedding, hidden, pairs = read_layers(plain, [1, 4], batch)
        with autocast("bfloat16", CPU):
            found_embedding, found_hidden, found_pairs = read_layers(teacher, [1, 4], batch)
    torch.testing.assert_close(found_embedding.float()[real], embedding[real], atol=0.03, rtol=0.03)
    for state, expected in zip(found_hidden, hidden, strict=True):
        assert state.dtype == found_embedding.dtype  # that of an ELECTRA goes through a product
        torch.testing.assert_close(state.float()[real], expected[real], atol=0.06, rtol=0.06)
        assert not torch.equal(state.float()[real], expected[real])
    for found, expected_pair in zip(found_pairs, pairs, strict=True):
        for tensor, expected in zip(found, expected_pair, strict=True):
            assert tensor.dtype == torch.bfloat16
            torch.testing.assert_close(tensor.float(), expected, atol=0.06, rtol=0.06)


def test_only_the_linear_weights_of_a_teacher_are_converted(family_config: Configs) -> None:
    teacher = encoder(family_config("bert"))
    prepare_teacher(teacher, "bfloat16")
    for module in teacher.modules():
        wanted = torch.bfloat16 if isinstance(module, torch.nn.Linear) else torch.float32
        assert {parameter.dtype for parameter in module.parameters(recurse=False)} <= {wanted}


def test_a_trained_model_keeps_float32_weights_and_gradients(family_config: Configs, batch: Batch) -> None:
    student = encoder(family_config("bert")).train()
    with autocast("bfloat16", CPU):
        _, (hidden,), ((query, _),) = read_layers(student, [1], batch)
    assert (hidden.dtype, query.dtype) == (torch.float32, torch.bfloat16)
    hidden.square().sum().backward()
    weight = student.encoder.layer[0].output.dense.weight
    assert weight.dtype == weight.grad.dtype == torch.float32
    assert weight.grad.abs().sum() > 0


def test_float32_is_not_tf32() -> None:
    torch.set_float32_matmul_precision("high")
    exact_float32()
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cuda.matmul.allow_tf32
