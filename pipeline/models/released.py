"""The relu that the released TinyBERT code computes before the classifier, for the ``huawei`` recipe only.

It is noted in the model's configuration, so that this program computes what was trained when it loads the folder. The
weights do not show it, and plain ``from_pretrained`` leaves it out.
"""

from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from pipeline.errors import ModelError

RELU = "relu_before_classifier"  # the key in config.json


def has_relu(config: PreTrainedConfig) -> bool:
    """Return whether models with this configuration compute logits as classifier(relu(pooled))."""
    return bool(getattr(config, RELU, False))


def forget_relu(config: PreTrainedConfig) -> None:
    """Remove the relu's note from a configuration, in place, for a model with a new random head."""
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
