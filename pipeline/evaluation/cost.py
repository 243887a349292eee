"""What a model costs before it is ever timed: parameters, bytes of weights, floating-point operations.

The operations are found from the configuration alone, so they can be compared between models that nobody has to
load: by the arithmetic of a Transformer encoder where a family is one, and by counting them in a shallow copy of any
other.
"""

from pathlib import Path

from torch import nn
from transformers import PreTrainedConfig

from pipeline.errors import ModelError
from pipeline.evaluation.counted_flops import counted_flops

PLAIN = (  # families whose layers are those of "Attention is all you need"; within 2% of what torch counts
    *("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "albert", "mpnet", "ernie"),
    *("data2vec-text", "megatron-bert"),
)
WEIGHTS = ("*.safetensors", "*.onnx", "*.bin")


def count_parameters(model: nn.Module) -> int:
    """Number of parameters; a tensor used in two places counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


def size_on_disk(folder: Path | str) -> int:
    """Bytes of the weight files in a model's folder; tokenizer and configuration are left out.

    Raises:
        ModelError: the folder holds no weights.
    """
    for pattern in WEIGHTS:
        files = sorted(Path(folder).glob(pattern))
        if files:
            return sum(file.stat().st_size for file in files)
    msg = f"{folder} holds no weights ({', '.join(WEIGHTS)}): name a folder written by save_pretrained"
    raise ModelError(msg)


def forward_flops(model_config: PreTrainedConfig, length: int, batch: int = 1) -> int:
    """Floating-point operations of one forward pass of a sequence classifier: two a multiply-add.

    Of the usual families are counted: query, key, value and output projections, scores Q K^T, context A V, the two
    feed-forward products, a width-to-width pooler on the first token, the classifier, and the projection of
    embeddings that are narrower than the model. Additions, norms, activations and softmax are left out (below 2%).
    Of any other family torch counts what its products cost; local attention costs what global attention does.

    Args:
        model_config: of any encoder.
        length: word pieces a row.
        batch: rows.

    Raises:
        ModelError: the operations can neither be counted nor computed from the configuration.
    """
    if counted := _counted(model_config, length, head=True):
        one, further = counted
        return int(one + (batch - 1) * further)
    width = _size(model_config, "hidden_size")
    head = width * width + width * _size(model_config, "num_labels")
    return int(encoder_flops(model_config, batch * length, batch * length * length)) + 2 * batch * head


def encoder_flops(model_config: PreTrainedConfig, tokens: float, pairs: float) -> float:
    """Floating-point operations of one forward pass of an encoder without any head: two a multiply-add.

    Counted as ``forward_flops`` does, on real tokens alone: padding is computed, but is no work done.

    Args:
        model_config: of any encoder.
        tokens: real tokens.
        pairs: of a query and a key of one row, both real: the sum over rows of length squared.

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
    """What torch counts of one row and of a further one; None for a family that is computed, or cannot be run."""
    if model_config.model_type in PLAIN:
        return None
    try:
        return counted_flops(model_config, length, head=head)
    except Exception:  # noqa: BLE001 - a number for a table ends no training
        return None


def _size(model_config: PreTrainedConfig, *names: str) -> int:
    for name in names:
        value = getattr(model_config, name, None)
        if isinstance(value, int):
            return value
    msg = (
        f"the configuration of a {model_config.model_type!r} model has no {' or '.join(names)}: "
        "its operations cannot be counted"
    )
    raise ModelError(msg)
