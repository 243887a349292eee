"""Local attention: layers in which a token attends only to its neighbourhood."""

from collections.abc import Sequence

from transformers import PretrainedConfig

from pipeline.errors import ModelError


def attention_windows(config: PretrainedConfig) -> tuple[int | None, ...]:
    """Return, for each layer, how many tokens to each side a token attends to; None for the whole row."""
    kinds = getattr(config, "layer_types", None)
    if not kinds:
        return (None,) * config.num_hidden_layers
    return tuple(config.sliding_window if kind == "sliding_attention" else None for kind in kinds)


def check_windows(name: str, layers: Sequence[int], student: PretrainedConfig, teacher: PretrainedConfig) -> None:
    """Refuse student layers whose attention window differs from that of the teacher layer they imitate.

    Attention scores are compared only within the window, so both windows have to be equal.

    Args:
        name: name of the student, for messages.
        layers: for each student layer, the number of the teacher layer that it imitates, from 1.
        student: configuration of the student.
        teacher: configuration of the teacher.

    Raises:
        ModelError: two windows differ.
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
