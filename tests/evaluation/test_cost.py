import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    CLIPConfig,
)

from pipeline.errors import ModelError
from pipeline.evaluation.cost import count_parameters, encoder_flops, forward_flops, size_on_disk

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 56,
    "max_position_embeddings": 80,
    "num_labels": 5,
}
OTHER_NAMES = {"vocab_size": 60, "n_layers": 3, "n_heads": 4, "max_position_embeddings": 80, "num_labels": 5}
ONE_TYPE = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "max_relative_positions": 16}
FAMILIES = {
    "bert": SHAPE,
    "roberta": SHAPE,
    "xlm-roberta": SHAPE,
    "camembert": SHAPE,
    "electra": SHAPE | {"embedding_size": 8},
    "distilbert": OTHER_NAMES | {"dim": 24, "hidden_dim": 56},
    "deberta": SHAPE | RELATIVE,
    "deberta-v2": SHAPE | RELATIVE | {"position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True},
    "modernbert": SHAPE | ONE_TYPE,
    "mobilebert": SHAPE | {"embedding_size": 8, "intra_bottleneck_size": 12},
    "albert": SHAPE | {"embedding_size": 8},
    "mpnet": SHAPE,
    "ernie": SHAPE,
    "data2vec-text": SHAPE,
    "megatron-bert": SHAPE,
    "convbert": SHAPE | {"conv_kernel_size": 3},
    "rembert": SHAPE | {"input_embedding_size": 8},
    "roformer": SHAPE,
    "nomic_bert": SHAPE | ONE_TYPE,
    "gte": SHAPE | ONE_TYPE,
    "squeezebert": SHAPE | {"embedding_size": 24},
    "flaubert": OTHER_NAMES | {"emb_dim": 24},
}


def configuration(family):
    return AutoConfig.for_model(family, **FAMILIES[family])


def counted_by_torch(factory, config, length, batch):
    model = factory.from_config(config, attn_implementation="eager").eval().requires_grad_(False)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        ids = torch.randint(5, 60, (batch, length))
        model(ids, attention_mask=torch.ones_like(ids))
    return counter.get_total_flops()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_operations_are_those_torch_counts(family):
    for length in (1, 12, 64):
        expected = counted_by_torch(AutoModelForSequenceClassification, configuration(family), length, 1)
        assert forward_flops(configuration(family), length) == pytest.approx(expected, rel=0.02), length


@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_without_its_head_costs_what_further_rows_cost(family):
    one, three = (counted_by_torch(AutoModel, configuration(family), 32, batch) for batch in (1, 3))
    pooler = 2 * 24 * 24 * 2  # of two rows; left out, as only some families have one
    found = encoder_flops(configuration(family), 2 * 32, 2 * 32 * 32)
    assert found == pytest.approx(three - one, rel=0.02, abs=pooler)


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
