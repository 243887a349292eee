import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    CLIPConfig,
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from pipeline.errors import ModelError
from pipeline.evaluation.cost import count_parameters, forward_flops, size_on_disk

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 56,
    "max_position_embeddings": 80,
    "num_labels": 5,
}
FAMILIES = [
    (BertForSequenceClassification, BertConfig(**SHAPE)),
    (RobertaForSequenceClassification, RobertaConfig(**SHAPE)),
    (ElectraForSequenceClassification, ElectraConfig(**SHAPE, embedding_size=8)),
]


@pytest.mark.parametrize(("family", "config"), FAMILIES)
@pytest.mark.parametrize(("length", "batch"), [(1, 1), (12, 3), (64, 2)])
def test_the_operations_are_those_torch_counts(family, config, length, batch):
    config = type(config)(**config.to_diff_dict())
    config._attn_implementation = "eager"
    model = family(config).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.randint(5, 60, (batch, length)))
    assert forward_flops(model.config, length, batch) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_operations_of_bert_base_are_the_published_order():
    # 12 layers x 12 d^2 multiply-adds a token = 85M; twice that, 128 tokens, plus attention
    assert forward_flops(BertConfig(), 128) == pytest.approx(22.35e9, rel=0.01)


def test_a_configuration_without_the_sizes_is_named():
    with pytest.raises(ModelError, match=r"'clip'.*hidden_size"):
        forward_flops(CLIPConfig(), 16)


def test_a_tied_matrix_counts_once():
    config = BertConfig(**SHAPE)
    tied = count_parameters(BertForMaskedLM(config))
    config.tie_word_embeddings = False
    assert count_parameters(BertForMaskedLM(config)) == tied + 60 * 24 + 60, "the decoder and its bias"


def test_size_is_that_of_the_weights_alone(tmp_path):
    model = BertForSequenceClassification(BertConfig(**SHAPE))
    model.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("x" * 100_000)
    assert size_on_disk(tmp_path) == pytest.approx(4 * count_parameters(model), rel=0.2)
    assert size_on_disk(tmp_path) == (tmp_path / "model.safetensors").stat().st_size


def test_a_folder_without_weights_is_named(tmp_path):
    with pytest.raises(ModelError, match="holds no weights"):
        size_on_disk(tmp_path)
