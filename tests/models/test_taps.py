"""What a tap reads is what the model computes: compared with the library's eager attention."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from reading import read_layers
from transformers import AutoModel, AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from pipeline.errors import ModelError
from pipeline.models.taps import encode, truncate
from pipeline.models.windows import attention_windows

Configs = Callable[[str], PretrainedConfig]
Batch = dict[str, torch.Tensor]
TAPPED = ["bert", "roberta", "electra", "modernbert"]


def encoder(config: PretrainedConfig, attention: str = "eager") -> PreTrainedModel:
    torch.manual_seed(0)
    model = AutoModel.from_config(config, attn_implementation=attention).eval()
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and "_embeddings" not in name:
            torch.nn.init.normal_(parameter, std=0.3)  # scores far from zero, probabilities from uniform
    return model


@pytest.mark.parametrize("family", TAPPED)
def test_hidden_states_and_scores_are_those_of_the_eager_model(
    family: str, family_config: Configs, batch: Batch
) -> None:
    eager = encoder(family_config(family))
    with torch.no_grad():
        expected = encode(eager, batch, output_hidden_states=True, output_attentions=True)
        embedding, hidden, pairs = read_layers(deepcopy(eager), [1, 2, 4], batch)
    real = batch["attention_mask"]
    torch.testing.assert_close(embedding[real], expected.hidden_states[0][real], atol=1e-5, rtol=1e-4)
    places = torch.arange(9)
    windows = attention_windows(eager.config)
    assert (2 in windows) == (family == "modernbert")
    for layer, state, (query, key) in zip((1, 2, 4), hidden, pairs, strict=True):
        torch.testing.assert_close(state[real], expected.hidden_states[layer][real], atol=1e-5, rtol=1e-4)
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        window = windows[layer - 1]
        seen = real[:, None, None, :] & ((places[:, None] - places).abs() <= (9 if window is None else window))
        probabilities = scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)
        wanted = expected.attentions[layer - 1]
        assert wanted[0].std() > 0.02  # far enough from uniform for the comparison to mean something
        torch.testing.assert_close(
            probabilities.transpose(1, 2)[real], wanted.transpose(1, 2)[real], atol=1e-5, rtol=1e-3
        )


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_layers_may_repeat_and_keep_the_order_asked_for(family: str, family_config: Configs, batch: Batch) -> None:
    model = encoder(family_config(family))
    _, hidden, pairs = read_layers(model, [3, 1, 3], batch)
    assert torch.equal(hidden[0], hidden[2])
    assert torch.equal(pairs[0][0], pairs[2][0])
    _, (first, third), _ = read_layers(model, [1, 3], batch)
    assert torch.equal(hidden[1], first)
    assert torch.equal(hidden[0], third)


@pytest.mark.parametrize("family", TAPPED)
def test_truncation_leaves_the_features_as_they_are(family: str, family_config: Configs, batch: Batch) -> None:
    whole = encoder(family_config(family))
    cut = deepcopy(whole)
    truncate(cut, 2)
    assert sum(p.numel() for p in cut.parameters()) <= sum(p.numel() for p in whole.parameters())
    expected, found = (read_layers(model, [1, 2], batch) for model in (whole, cut))
    assert torch.equal(found[0], expected[0])
    for part in (1, 2):
        for a, b in zip(found[part], expected[part], strict=True):
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_truncation_drops_the_layers_above(family: str, family_config: Configs) -> None:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(family_config(family))
    truncate(model, 2)
    assert not [name for name, _ in model.base_model.named_parameters() if ".layer.2." in name]
    assert getattr(model.base_model, "pooler", None) is None


def test_a_tap_of_a_classifier_reads_its_encoder(family_config: Configs, batch: Batch) -> None:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(family_config("bert")).eval()
    _, (last,), _ = read_layers(model, [4], batch)
    assert torch.equal(last, encode(model.base_model, batch).last_hidden_state)


def test_token_types_are_left_out_where_the_model_has_one(family_config: Configs, batch: Batch) -> None:
    without = {name: tensor for name, tensor in batch.items() if name != "token_type_ids"}
    roberta, bert = encoder(family_config("roberta")), encoder(family_config("bert"))
    assert torch.equal(read_layers(roberta, [1], batch)[0], read_layers(roberta, [1], without)[0])
    assert not torch.equal(read_layers(bert, [1], batch)[0], read_layers(bert, [1], without)[0])


def test_gradients_flow_into_queries_and_keys(family_config: Configs, batch: Batch) -> None:
    model = encoder(family_config("bert"))
    _, _, ((query, key),) = read_layers(model, [2], batch)
    (query.sum() + key.square().sum()).backward()
    attention = model.encoder.layer[1].attention.self
    assert attention.query.weight.grad.abs().sum() > 0
    assert attention.key.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("family", ["distilbert", "deberta"])
def test_a_model_whose_scores_cannot_be_read_is_refused(family: str, family_config: Configs, batch: Batch) -> None:
    model = encoder(family_config(family))
    with pytest.raises(ModelError, match=r"cannot be read: choose .*, or set terms\.attention to 0"):
        read_layers(model, [1], batch)


@pytest.mark.parametrize("family", ["distilbert", "deberta"])
def test_without_attention_scores_any_encoder_will_do(family: str, family_config: Configs, batch: Batch) -> None:
    model = encoder(family_config(family))
    expected = encode(model, batch, output_hidden_states=True).hidden_states
    embedding, hidden, pairs = read_layers(model, [1, 4], batch, attention=False)
    assert torch.equal(embedding, expected[0])
    assert torch.equal(hidden[1], expected[4])
    assert pairs == ()
