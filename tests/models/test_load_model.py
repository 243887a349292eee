import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BartConfig,
    GPT2Config,
    PretrainedConfig,
    PreTrainedModel,
)

from pipeline.errors import ModelError
from pipeline.models.load import (
    load_classifier,
    load_config,
    load_encoder,
    load_finetuned,
    load_masked_lm,
    permute_labels,
)
from pipeline.models.released import has_relu, relu_before_classifier
from pipeline.models.source import ModelSource
from pipeline.models.taps import encode

Configs = Callable[[str], PretrainedConfig]
Batch = dict[str, torch.Tensor]


def saved(factory: type, config: PretrainedConfig, folder: Path) -> tuple[PreTrainedModel, ModelSource]:
    torch.manual_seed(0)
    model = factory.from_config(config).eval()
    model.save_pretrained(folder)
    return model, ModelSource(str(folder))


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert"])
def test_models_load_as_they_were_saved(family: str, family_config: Configs, batch: Batch, tmp_path: Path) -> None:
    masked, source = saved(AutoModelForMaskedLM, family_config(family), tmp_path / "mlm")
    assert torch.equal(encode(load_masked_lm(source).eval(), batch).logits, encode(masked, batch).logits)
    found = encode(load_encoder(source).eval(), batch).last_hidden_state
    assert torch.equal(found, encode(masked.base_model, batch).last_hidden_state)
    config = family_config(family)
    config.num_labels = 3
    fine, source = saved(AutoModelForSequenceClassification, config, tmp_path / "fine")
    assert torch.equal(encode(load_finetuned(source).eval(), batch).logits, encode(fine, batch).logits)


def test_a_classifier_keeps_label_names_and_the_encoders_weights(family_config: Configs, tmp_path: Path) -> None:
    encoder, source = saved(AutoModel, family_config("bert"), tmp_path)
    model = load_classifier(source, ["no", "yes", "maybe"])
    assert model.config.id2label == {0: "no", 1: "yes", 2: "maybe"}
    assert model.config.label2id == {"no": 0, "yes": 1, "maybe": 2}
    for name, weight in encoder.state_dict().items():
        assert torch.equal(model.base_model.state_dict()[name], weight)
    assert load_classifier(source, ["score"], regression=True).config.problem_type == "regression"


def test_another_head_is_replaced_and_the_encoder_kept(family_config: Configs, tmp_path: Path) -> None:
    config = family_config("roberta")
    config.num_labels = 3
    old, source = saved(AutoModelForSequenceClassification, config, tmp_path)
    model = load_classifier(source, ["a", "b", "c", "d", "e"])
    assert model.classifier.out_proj.out_features == 5
    for name, weight in old.base_model.state_dict().items():
        assert torch.equal(model.base_model.state_dict()[name], weight)


def test_half_precision_folders_are_loaded_in_float32(family_config: Configs, tmp_path: Path) -> None:
    torch.manual_seed(0)
    AutoModel.from_config(family_config("bert")).half().save_pretrained(tmp_path)
    source = ModelSource(str(tmp_path))
    assert load_encoder(source).dtype == torch.float32
    assert AutoModelForSequenceClassification.from_config(load_config(source)).dtype == torch.float32


def test_what_is_no_encoder_is_refused(family_config: Configs, tmp_path: Path) -> None:
    GPT2Config(n_layer=1, n_embd=8, n_head=1).save_pretrained(tmp_path / "gpt2")
    BartConfig(d_model=8, encoder_layers=1).save_pretrained(tmp_path / "bart")
    causal = family_config("bert")
    causal.is_decoder = True
    causal.save_pretrained(tmp_path / "bert")
    for name in ("gpt2", "bart", "bert"):
        with pytest.raises(ModelError, match=f"is a '{name}' model, which is not an encoder: name a BERT"):
            load_encoder(ModelSource(str(tmp_path / name)))


def test_folders_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model folder .*absent': check the path"):
        load_encoder(ModelSource(str(tmp_path / "absent")))
    with pytest.raises(ModelError, match=r"cannot load .*, a folder:"):
        load_encoder(ModelSource(str(tmp_path)))
    (tmp_path / "config.json").write_text('{"model_type": ')
    with pytest.raises(ModelError, match="not a valid JSON file") as caught:
        load_encoder(ModelSource(str(tmp_path)))
    assert "\n" not in str(caught.value)


def test_truncated_weights_are_an_error_of_ours(family_config: Configs, tmp_path: Path) -> None:
    _, source = saved(AutoModel, family_config("bert"), tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:3000])
    for load in (load_encoder, load_masked_lm, load_finetuned):
        with pytest.raises(ModelError, match=r"cannot load .*, a folder:"):
            load(source)


def test_an_encoder_is_no_masked_lm_and_not_fine_tuned(family_config: Configs, tmp_path: Path) -> None:
    _, source = saved(AutoModel, family_config("bert"), tmp_path)
    with pytest.raises(ModelError, match=r"has no masked-LM head .* pretrain\.mode: mlm_head"):
        load_masked_lm(source)
    with pytest.raises(ModelError, match=r"is not fine-tuned .*'classifier\.\w+'.* set teacher\.finetune"):
        load_finetuned(source)


def test_a_masked_lm_may_be_given_a_new_head_but_no_new_encoder(family_config: Configs, tmp_path: Path) -> None:
    encoder, source = saved(AutoModel, family_config("bert"), tmp_path)
    model = load_masked_lm(source, new_head=True)
    for name, weight in model.base_model.state_dict().items():
        assert torch.equal(weight, encoder.state_dict()[name])
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["encoder.layer.3.output.dense.weight"]
    save_file(weights, path, {"format": "pt"})
    for new_head in (True, False):
        with pytest.raises(ModelError, match=r"lacks 1 of .* weights.*'encoder\.layer\.3\.output\.dense\.weight'"):
            load_masked_lm(source, new_head=new_head)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ModelError, match=r"cannot load .*, a folder:"):
        load_masked_lm(source, new_head=True)


def test_an_encoder_with_holes_is_refused_not_filled_at_random(family_config: Configs, tmp_path: Path) -> None:
    _, source = saved(AutoModel, family_config("bert"), tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    whole = dict(weights)
    del weights["encoder.layer.3.output.dense.weight"]
    save_file(weights, path, {"format": "pt"})
    for load in (load_encoder, lambda s: load_classifier(s, ["a", "b"])):
        with pytest.raises(ModelError, match=r"lacks 1 of .* weights.*'encoder\.layer\.3\.output\.dense\.weight'"):
            load(source)
    save_file(whole, path, {"format": "pt"})
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 50}))
    with pytest.raises(ModelError, match=r"lacks 1 of .* weights.*'embeddings\.word_embeddings\.weight'"):
        load_classifier(source, ["a", "b"])


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert"])
def test_permuted_labels_permute_the_logits(family: str, family_config: Configs, batch: Batch, tmp_path: Path) -> None:
    config = family_config(family)
    config.num_labels = 3
    model, source = saved(AutoModelForSequenceClassification, config, tmp_path)
    torch.nn.init.normal_(list(model.parameters())[-1])  # a bias that tells classes apart
    before = encode(model, batch).logits
    order = [2, 0, 1]
    permute_labels(model, order, ["x", "y", "z"])
    torch.testing.assert_close(encode(model, batch).logits, before[:, order])
    assert model.config.id2label == {0: "x", 1: "y", 2: "z"}
    assert load_finetuned(source).config.num_labels == 3


def test_relu_logits(family_config: Configs, batch: Batch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(family_config("bert")).eval()
    pooled = encode(model.base_model, batch).pooler_output
    relu_before_classifier(model)
    torch.testing.assert_close(encode(model, batch).logits, model.classifier(pooled.clamp(min=0)))
    model.save_pretrained(tmp_path)
    saved = ModelSource(str(tmp_path))
    torch.testing.assert_close(encode(load_finetuned(saved).eval(), batch).logits, encode(model, batch).logits)
    again = load_classifier(saved, ["a", "b", "c"])  # a head of its own has no such habit
    pooled = encode(again.eval().base_model, batch).pooler_output
    torch.testing.assert_close(encode(again, batch).logits, again.classifier(pooled))
    assert not has_relu(again.config)
    roberta = AutoModelForSequenceClassification.from_config(family_config("roberta"))
    with pytest.raises(ModelError, match="relu_logits needs a BERT classifier"):
        relu_before_classifier(roberta)
