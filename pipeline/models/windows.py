"""Local attention: the layers of a model that see only the neighbourhood of a token."""

from collections.abc import Sequence

from transformers import PretrainedConfig

from pipeline.errors import ModelError


def attention_windows(config: PretrainedConfig) -> tuple[int | None, ...]:
    """For each layer, the number of tokens it sees on either side of a token; None where it sees the whole row."""
    kinds = getattr(config, "layer_types", None)
    if not kinds:
        return (None,) * config.num_hidden_layers
    return tuple(config.sliding_window if kind == "sliding_attention" else None for kind in kinds)


def check_windows(name: str, layers: Sequence[int], student: PretrainedConfig, teacher: PretrainedConfig) -> None:
    """Attention scores are compared where both layers look, so both have to look equally far.

    Args:
        name: the student's.
        layers: the 1-based teacher layer that each student layer imitates.
        student: its configuration.
        teacher: the teacher's.

    Raises:
        ModelError: a layer sees another stretch of the row than the one it imitates.
    """
    own, others = attention_windows(student), attention_windows(teacher)
    for place, layer in enumerate(layers):
        if own[place] != others[layer - 1]:
            raise ModelError(
                f"layer {place + 1} of student {name!r} attends to {_reach(own[place])}, layer {layer} of the teacher, "
                f"which it imitates, to {_reach(others[layer - 1])}: choose a layer_map of like layers, or set "
                "terms.attention to 0"
            )


def _reach(window: int | None) -> str:
    return "the whole row" if window is None else f"{window} tokens on either side"
