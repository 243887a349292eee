"""Habits of the released TinyBERT code that change a model, for the ``huawei`` recipe only.

A model's configuration says that it has the habit, so that whoever loads its folder with this project computes what was
trained; its weights do not show it, and ``from_pretrained`` alone leaves it out.
"""

from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from pipeline.errors import ModelError

RELU = "relu_before_classifier"  # the key in config.json


def has_relu(config: PreTrainedConfig) -> bool:
    """Whether logits of models with this configuration are classifier(relu(pooled))."""
    return bool(getattr(config, RELU, False))


def forget_relu(config: PreTrainedConfig) -> None:
    """Take the habit out of a configuration, in place: a head that is drawn anew has none."""
    if hasattr(config, RELU):
        delattr(config, RELU)


def relu_before_classifier(model: PreTrainedModel) -> None:
    """Compute logits as classifier(relu(pooled)), in place, and note it in the model's configuration.

    Raises:
        ModelError: the classifier does not take one pooled vector.
    """
    head = getattr(model, "classifier", None)
    if not isinstance(head, nn.Linear):
        raise ModelError(f"relu_logits needs a BERT classifier, {type(model).__name__} has none: set it to false")

    def rectify(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0].relu(), *inputs[1:])

    head.register_forward_pre_hook(rectify)
    setattr(model.config, RELU, True)
