"""What a model costs without timing it: parameters, bytes of weights, floating-point operations.

The operations follow from the configuration alone, so models can be compared without loading them. For families that
are plain Transformer encoders they are computed. For any other family torch counts them while a shallow copy runs:
gated feed-forward layers, relative positions, bottlenecks and convolutions have costs of their own. The copy has the
model's width, one layer and then two, and few word pieces; the cost of a further layer or row is the difference.
"""

import json
from copy import deepcopy
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, PreTrainedConfig

from pipeline.errors import ModelError

PLAIN = (  # families whose layers are those of "Attention is all you need"; within 2% of what torch counts
    *("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "albert", "mpnet", "ernie"),
    *("data2vec-text", "megatron-bert"),
)
WEIGHTS = ("*.safetensors", "*.onnx", "*.bin")
VOCABULARY = 64  # word pieces of a shallow copy
CACHED_RESULTS = 64


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters; a tensor used in two places counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


def size_on_disk(folder: Path | str) -> int:
    """Return the bytes of the weight files in a model's folder, without tokenizer and configuration.

    Raises:
        ModelError: the folder holds no weights.
    """
    for pattern in WEIGHTS:
        files = sorted(Path(folder).glob(pattern))
        if files:
            return sum(file.stat().st_size for file in files)
    raise ModelError(f"{folder} holds no weights ({', '.join(WEIGHTS)}): name a folder written by save_pretrained")


def forward_flops(model_config: PreTrainedConfig, length: int) -> int:
    """Return the floating-point operations of a sequence classifier for one row: two a multiply-add.

    For plain families these count: query, key, value and output projections, scores Q K^T, context A V, the two
    feed-forward products, a width-to-width pooler on the first token, the classifier, and the projection of
    embeddings that are narrower than the model. Additions, norms, activations and softmax are left out (below 2%).
    For any other family torch counts the products; local attention costs as much as global attention.

    Args:
        model_config: configuration of any encoder.
        length: word pieces of the row.

    Raises:
        ModelError: the operations can neither be counted nor computed from the configuration.
    """
    if counted := _counted(model_config, length, head=True):
        return int(counted[0])
    width = _size(model_config, "hidden_size")
    head = width * width + width * _size(model_config, "num_labels")
    return int(encoder_flops(model_config, length, length * length)) + 2 * head


def encoder_flops(model_config: PreTrainedConfig, tokens: float, pairs: float) -> float:
    """Return the floating-point operations of one forward pass of an encoder without a head: two a multiply-add.

    Counted as in ``forward_flops``, for real tokens only: padding is computed, but is not useful work.

    Args:
        model_config: configuration of any encoder.
        tokens: number of real tokens.
        pairs: number of pairs of real tokens in one row: the sum over rows of length squared.

    Raises:
        ModelError: the operations can neither be counted nor computed from the configuration.
    """
    length = pairs / max(tokens, 1)  # rows of equal length that have as many tokens and as many pairs
    if tokens and (counted := _counted(model_config, max(1, round(length)), head=False)):
        _, further = counted
        return further * tokens / max(1, round(length))
    width = _size(model_config, "hidden_size")
    inner = _size(model_config, "intermediate_size", "hidden_dim", "ffn_dim")
    layers = _size(model_config, "num_hidden_layers")
    embedding: int = getattr(model_config, "embedding_size", None) or width
    widening = embedding * width if embedding != width else 0
    return 2.0 * (layers * (tokens * (4 * width * width + 2 * width * inner) + 2 * pairs * width) + tokens * widening)


def _counted(model_config: PreTrainedConfig, length: int, *, head: bool) -> tuple[float, float] | None:
    """Return the operations of one row and of each further row of its batch, as torch counts them.

    None for a plain family, or if the model cannot be run. The two numbers differ where something is computed once a
    batch, such as the projections of relative positions.
    """
    if model_config.model_type in PLAIN:
        return None
    try:
        return _count(model_config.model_type, _small_config(model_config), length, head)
    except Exception:  # noqa: BLE001 - a number for a table ends no training
        return None


def _size(model_config: PreTrainedConfig, *names: str) -> int:
    sizes = [value for name in names if isinstance(value := getattr(model_config, name, None), int)]
    if sizes:
        return sizes[0]
    raise ModelError(
        f"the configuration of a {model_config.model_type!r} model has no {' or '.join(names)}: "
        "its operations cannot be counted"
    )


def _small_config(model_config: PreTrainedConfig) -> str:
    """Return the configuration with a small vocabulary as JSON, which can be the key of a cache."""
    small = deepcopy(model_config)
    small.vocab_size = min(small.vocab_size, VOCABULARY)
    for name, value in vars(small).items():
        if name.endswith("_token_id") and isinstance(value, int) and value >= small.vocab_size:
            setattr(small, name, 1)
    return str(small.to_json_string(use_diff=False))


@lru_cache(CACHED_RESULTS)
def _count(family: str, config: str, length: int, head: bool) -> tuple[float, float]:
    values = json.loads(config)
    whole = AutoConfig.for_model(family, **{key: value for key, value in values.items() if key != "model_type"})
    layers = whole.num_hidden_layers
    (one, two), (one_deeper, two_deeper) = (_run(_with_layers(whole, depth), length, head=head) for depth in (1, 2))
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
    """Return the operations of a batch of one row and of a batch of two rows."""
    factory = AutoModelForSequenceClassification if head else AutoModel
    with torch.random.fork_rng(devices=[]):
        model = factory.from_config(shallow, attn_implementation="eager").eval().requires_grad_(False)
    operations = []
    for rows in (1, 2):
        ids = torch.ones((rows, length), dtype=torch.long)
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model(input_ids=ids + 1, attention_mask=ids)
        operations.append(float(counter.get_total_flops()))
    return operations[0], operations[1]
