"""The classification head in closed form: one hidden layer on the first token, and the classifier on it.

BERT keeps the hidden layer in its pooler (tanh), RoBERTa (tanh) and ELECTRA (GELU) in the classifier; an encoder
without a classifier has a pooler at most.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from pipeline.errors import ModelError
from pipeline.models.initialise.moments import Moments, ridge
from pipeline.models.initialise.post_norm import Batch, copy_linear
from pipeline.models.released import has_relu
from pipeline.models.taps import encode

HEAD_PENALTY = 1e-2


class Head(NamedTuple):
    """The parts of a head, references into a model.

    Attributes:
        hidden: first token's state (d) to hidden units (d).
        activation: after it.
        classifier: hidden units to logits; None where the model has a pooler alone.
    """

    hidden: nn.Linear
    activation: Callable[[Tensor], Tensor]
    classifier: nn.Linear | None


def head_of(model: PreTrainedModel) -> Head | None:
    """The head of a classifier, or the pooler of an encoder; None if it has neither."""
    classifier = getattr(model, "classifier", None)
    dense, out = getattr(classifier, "dense", None), getattr(classifier, "out_proj", None)
    if isinstance(dense, nn.Linear) and isinstance(out, nn.Linear):  # RoBERTa, ELECTRA
        activation = getattr(classifier, "activation", torch.tanh)
        return Head(dense, cast("Any", activation), out)
    pooler: Any = getattr(model.base_model, "pooler", None)
    if pooler is None or not isinstance(getattr(pooler, "dense", None), nn.Linear):
        return None
    activation = _rectified(pooler.activation) if has_relu(model.config) else pooler.activation
    return Head(pooler.dense, activation, classifier if isinstance(classifier, nn.Linear) else None)


def _rectified(activation: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """What the classifier of the released code sees of a hidden unit."""
    return lambda before: activation(before).relu()


def check_head(model: PreTrainedModel) -> None:
    """Refuse a model without a classification head where one is needed.

    Raises:
        ModelError: names the model's class and the way out.
    """
    head = head_of(model)
    if head is None or head.classifier is None:
        raise ModelError(
            f"{type(model).__name__} has no classification head to cut a student's head out of: give a teacher that is "
            "fine-tuned on the task (set teacher.finetune), or use start: pretrained"
        )


def hidden_units(variance: Tensor, classifier: Tensor | None, count: int) -> list[int]:
    """The hidden units with the largest var(act) ||W_c[:, j]||^2, in the teacher's order.

    Args:
        variance: of each unit's activation over the rows, (units,).
        classifier: W_c, (outputs, units); None counts all units alike.
        count: units to keep.
    """
    effect = variance if classifier is None else variance * classifier.double().square().sum(dim=0)
    return sorted(int(unit) for unit in torch.sort(effect, descending=True, stable=True).indices[:count])


@torch.no_grad()
def fit_head(
    student: PreTrainedModel, teacher: PreTrainedModel, batches: Sequence[Batch], *, penalty: float = HEAD_PENALTY
) -> None:
    """Fit a student's head to its teacher's, whatever the student's encoder is by now; in place.

    Args:
        student: a classifier, or an encoder with a pooler where the teacher has no more either.
        teacher: fine-tuned, with as many outputs.
        batches: rows of the task: token ids, masks and perhaps segments. Labels are not needed.
        penalty: of both ridge regressions, relative to the mean variance of their inputs.

    Raises:
        ModelError: a head is missing, the numbers of outputs differ, or there is no row.
    """
    with eval_mode(student, teacher):
        pairs = ((_first_token(student, batch), _first_token(teacher, batch)) for batch in batches)
        fit_head_to_tokens(student, teacher, pairs, penalty=penalty)


@torch.no_grad()
def fit_head_to_tokens(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    first_tokens: Iterable[tuple[Tensor, Tensor]],
    *,
    penalty: float = HEAD_PENALTY,
) -> None:
    """Fit a student's head where the last states of both models' first tokens are known; in place.

    hidden' = ridge of the chosen units' pre-activations on the student's first token;
    classifier' = ridge of the teacher's logits on act(hidden'). One vector a row is kept, not one a token.

    Args:
        student: see ``fit_head``.
        teacher: see ``fit_head``.
        first_tokens: of some rows at a time, the student's (rows, n) and the teacher's (rows, d).
        penalty: see ``fit_head``.

    Raises:
        ModelError: see ``fit_head``.
    """
    own, others = head_of(student), head_of(teacher)
    if own is None:
        return
    if others is None or (own.classifier is not None and others.classifier is None):
        check_head(teacher)
        return
    outputs, wanted = (0 if head.classifier is None else head.classifier.out_features for head in (own, others))
    if outputs and outputs != wanted:
        raise ModelError(
            f"the student has {outputs} outputs, its teacher {wanted}: build it with the labels of the teacher"
        )
    device = own.hidden.weight.device
    moments = Moments(own.hidden.in_features, others.hidden.out_features, device)
    squares = torch.zeros(2, others.hidden.out_features, dtype=torch.float64, device=device)
    rows, logits = [], []
    for first, teachers in first_tokens:
        before = F.linear(teachers, others.hidden.weight, others.hidden.bias)
        moments.add(first, before)
        after = others.activation(before)
        squares += torch.stack((after.double().sum(dim=0), after.double().square().sum(dim=0)))
        rows.append(first)
        if others.classifier is not None:
            logits.append(others.classifier(after))
    if not moments.count:
        raise ModelError("a head cannot be fitted to no rows: give rows of the task")
    mean, square = squares / moments.count
    weights = None if others.classifier is None else others.classifier.weight
    kept = hidden_units(square - mean * mean, weights, own.hidden.out_features)
    weight, bias = ridge(moments, penalty)
    copy_linear(own.hidden, weight[kept], bias[kept])
    if own.classifier is None:
        return
    responses = Moments(own.classifier.in_features, own.classifier.out_features, device)
    for first, target in zip(rows, logits, strict=True):
        responses.add(own.activation(own.hidden(first)), target)
    copy_linear(own.classifier, *ridge(responses, penalty))


def copy_head(student: PreTrainedModel, teacher: PreTrainedModel) -> None:
    """Copy a head of the same shape; nothing where the student has none."""
    own, others = head_of(student), head_of(teacher)
    if own is None or others is None:
        return
    copy_linear(own.hidden, others.hidden.weight, others.hidden.bias)
    if own.classifier is not None and others.classifier is not None:
        copy_linear(own.classifier, others.classifier.weight, others.classifier.bias)


def _first_token(model: PreTrainedModel, batch: Batch) -> Tensor:
    # A copy: a view would keep the states of all tokens.
    return encode(cast("PreTrainedModel", model.base_model), batch).last_hidden_state[:, 0].clone()


@contextmanager
def eval_mode(*models: nn.Module) -> Iterator[None]:
    """Switch dropout off while the block lasts."""
    before = [model.training for model in models]
    try:
        for model in models:
            model.eval()
        yield
    finally:
        for model, training in zip(models, before, strict=True):
            model.train(training)
