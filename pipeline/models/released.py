"""Habits of the released TinyBERT code that change a model, for the ``huawei`` recipe only."""

from torch import Tensor, nn
from transformers import PreTrainedModel

from pipeline.errors import ModelError


def relu_before_classifier(model: PreTrainedModel) -> None:
    """Compute logits as classifier(relu(pooled)), in place; the saved weights do not show it.

    Raises:
        ModelError: the classifier does not take one pooled vector.
    """
    head = getattr(model, "classifier", None)
    if not isinstance(head, nn.Linear):
        raise ModelError(f"relu_logits needs a BERT classifier, {type(model).__name__} has none: set it to false")

    def rectify(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0].relu(), *inputs[1:])

    head.register_forward_pre_hook(rectify)
