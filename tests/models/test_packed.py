"""Packed linear layers say what plain ones say, to the rounding of their precision."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from transformers import AutoModel, BertConfig, PretrainedConfig

from pipeline.models.precision import autocast, prepare_teacher
from pipeline.models.speed.packed import OPERATORS, PackedLinear, pack

Configs = Callable[[str], PretrainedConfig]
Batch = dict[str, torch.Tensor]


def packs(dtype: torch.dtype = torch.float32) -> bool:
    return pack(nn.Linear(2, 2).to(dtype).requires_grad_(False))


pytestmark = pytest.mark.skipif(not packs(), reason="layers are packed on x86 with oneDNN")
BFLOAT16 = pytest.param(
    torch.bfloat16, marks=pytest.mark.skipif(not packs(torch.bfloat16), reason="this processor has no bfloat16")
)


@settings(deadline=None)
@given(
    rows=st.integers(1, 40),
    length=st.integers(1, 9),
    inner=st.integers(1, 70),
    outer=st.integers(1, 70),
    gelu=st.booleans(),
    bias=st.booleans(),
)
def test_a_packed_layer_is_the_layer_in_float64(
    rows: int, length: int, inner: int, outer: int, *, gelu: bool, bias: bool
) -> None:
    torch.manual_seed(rows)
    linear = nn.Linear(inner, outer, bias=bias).requires_grad_(False)
    x = torch.randn(length, rows, inner).transpose(0, 1)
    expected = F.linear(x.double(), linear.weight.double(), linear.bias.double() if bias else None)
    found = PackedLinear(linear, gelu=gelu)(x)
    torch.testing.assert_close(found.double(), F.gelu(expected) if gelu else expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, BFLOAT16])
@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert", "modernbert"])
def test_a_packed_model_says_the_same(family: str, dtype: torch.dtype, family_config: Configs, batch: Batch) -> None:
    torch.manual_seed(0)
    precision = "bfloat16" if dtype == torch.bfloat16 else "float32"
    plain = AutoModel.from_config(family_config(family)).eval()
    packed = deepcopy(plain)
    for model in (plain, packed):
        prepare_teacher(model, precision)
    assert pack(packed)
    assert not any(type(module) is nn.Linear for module in packed.modules())
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    with torch.inference_mode(), autocast(precision, torch.device("cpu")):
        expected, found = (model(**inputs, output_hidden_states=True) for model in (plain, packed))
    atol = 0.05 if dtype == torch.bfloat16 else 1e-5
    for one, other in zip(expected.hidden_states, found.hidden_states, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, atol=atol, rtol=0)


def test_only_an_exact_gelu_is_computed_with_its_layer() -> None:
    for activation, follows in (("gelu", True), ("gelu_new", False), ("relu", False)):
        model = AutoModel.from_config(
            BertConfig(
                vocab_size=40,
                hidden_size=24,
                num_hidden_layers=1,
                num_attention_heads=3,
                intermediate_size=16,
                hidden_act=activation,
            )
        ).eval()
        plain = deepcopy(model)
        prepare_teacher(model, "float32")
        assert pack(model)
        inner = model.encoder.layer[0].intermediate
        assert isinstance(inner.intermediate_act_fn, nn.Identity) == follows
        ids = torch.arange(12).view(2, 6)
        with torch.no_grad():
            torch.testing.assert_close(model(ids)[0], plain(ids)[0], atol=1e-5, rtol=0)


def test_a_layer_with_a_hook_stays() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).requires_grad_(False)
    model[1].register_forward_pre_hook(lambda _module, given: (given[0].relu(),))
    x = torch.randn(4, 3)
    expected = model(x)
    assert pack(model)
    assert [type(module) for module in model] == [PackedLinear, nn.Linear]
    torch.testing.assert_close(model(x), expected)


def test_a_model_in_a_precision_it_cannot_be_packed_in_stays() -> None:
    model = nn.Sequential(nn.Linear(3, 3)).double().requires_grad_(False)
    assert not pack(model)
    assert type(model[0]) is nn.Linear


@pytest.mark.parametrize("name", OPERATORS)
def test_a_torch_without_one_of_the_operators_packs_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Without:
        """The operators of a torch in which one has another name."""

        def __getattr__(self, asked: str) -> object:
            if asked == name:
                raise AttributeError(asked)
            return getattr(there, asked)

    there = torch.ops.mkldnn
    monkeypatch.setattr(torch.ops, "mkldnn", Without())
    model = nn.Sequential(nn.Linear(3, 3)).requires_grad_(False)
    assert not pack(model)
    assert type(model[0]) is nn.Linear
