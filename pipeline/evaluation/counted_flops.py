"""Operations of a model that no simple formula knows, counted by torch while a shallow copy of it runs.

Gated feed-forward layers, relative positions, bottlenecks and convolutions all cost something of their own. The copy
has the model's width, one layer and then two, and a handful of word pieces; what a further layer and a further row
cost is the difference.
"""

import json
from copy import deepcopy
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, PreTrainedConfig

FEW_WORD_PIECES = 64
KEPT = 64  # results


def counted_flops(model_config: PreTrainedConfig, length: int, *, head: bool) -> tuple[float, float]:
    """Operations of one row, and of each further row of the same batch.

    The two differ where something is computed once a batch, such as the projections of relative positions.

    Args:
        model_config: of the model.
        length: word pieces a row.
        head: count the classifier too.
    """
    return _counted(model_config.model_type, _text(model_config), length, head)


def _text(model_config: PreTrainedConfig) -> str:
    """What the model's operations depend on, in a form that can be looked up."""
    small = deepcopy(model_config)
    small.vocab_size = min(small.vocab_size, FEW_WORD_PIECES)
    for name, value in vars(small).items():
        if name.endswith("_token_id") and isinstance(value, int) and value >= small.vocab_size:
            setattr(small, name, 1)
    return str(small.to_json_string(use_diff=False))


@lru_cache(KEPT)
def _counted(family: str, text: str, length: int, head: bool) -> tuple[float, float]:
    told = json.loads(text)
    whole = AutoConfig.for_model(family, **{key: value for key, value in told.items() if key != "model_type"})
    layers = whole.num_hidden_layers
    depths = (_with_layers(whole, count) for count in (1, 2))
    (one, two), (one_deeper, two_deeper) = (_run(shallow, length, head=head) for shallow in depths)
    first = one + (layers - 1) * (one_deeper - one)
    return first, two + (layers - 1) * (two_deeper - two) - first


def _with_layers(whole: PreTrainedConfig, count: int) -> PreTrainedConfig:
    shallow, layers = deepcopy(whole), whole.num_hidden_layers
    for name, value in vars(shallow).items():
        if isinstance(value, list) and len(value) == layers and name != "architectures":
            setattr(shallow, name, [*value, *value][:count])
    shallow.num_hidden_layers = count
    return shallow


def _run(shallow: PreTrainedConfig, length: int, *, head: bool) -> tuple[float, float]:
    """Operations of a batch of one row and of one of two."""
    factory = AutoModelForSequenceClassification if head else AutoModel
    with torch.random.fork_rng(devices=[]):
        model = factory.from_config(shallow, attn_implementation="eager").eval().requires_grad_(False)
    found = []
    for rows in (1, 2):
        ids = torch.ones((rows, length), dtype=torch.long)
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model(input_ids=ids + 1, attention_mask=ids)
        found.append(float(counter.get_total_flops()))
    return found[0], found[1]
