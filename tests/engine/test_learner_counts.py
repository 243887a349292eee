"""A batch cut into parts has the losses and the gradients of the whole, for every learner."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.config.models import StudentConfig
from pipeline.config.terms import Terms
from pipeline.distillation.objective import Objective, Part
from pipeline.distillation.terms.response import SoftTerm
from pipeline.engine.guides.frozen import frozen_teacher
from pipeline.engine.guides.outputs import stored_outputs
from pipeline.engine.learner import Learner
from pipeline.engine.objectives import TEACHER, build_learners, from_labels, guide_taps, masked_words
from pipeline.features import IGNORED, Moment
from pipeline.training.counts import count
from pipeline.training.feed import Feed

Make = Callable[..., Any]
Batch = dict[str, torch.Tensor]
PARTS = ([0, 2], [1])  # of 7 + 5 and 4 tokens


def mlm(make_bert: Make, batch: Batch) -> tuple[Any, Batch, Any]:
    labels = torch.full_like(batch["input_ids"], IGNORED)
    labels[0, 1], labels[0, 4], labels[2, 2], labels[1, 3] = 7, 9, 11, 8
    return Learner(make_bert("masked_lm"), masked_words()), batch | {"labels": labels}, None


def classifier(make_bert: Make, batch: Batch) -> tuple[Any, Batch, Any]:
    return Learner(make_bert("classifier"), from_labels("classes")), batch | {"labels": torch.tensor([0, 1, 1])}, None


def regression(make_bert: Make, batch: Batch) -> tuple[Any, Batch, Any]:
    model = make_bert("classifier", num_labels=1)
    return Learner(model, from_labels("value")), batch | {"labels": torch.tensor([0.5, 1.0, 3.0])}, None


def predictor(make_bert: Make, batch: Batch) -> tuple[Any, Batch, Any]:
    logits = torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]])
    soft = Objective([Part("soft", SoftTerm("classes", temperature=2.0), guide=TEACHER)])
    learner = Learner(make_bert("classifier"), soft)
    return learner, batch | {"logits": logits}, stored_outputs


def predictor_by_elements(make_bert: Make, batch: Batch) -> tuple[Any, Batch, Any]:
    made, batch, guide = predictor(make_bert, batch)
    made.objective.terms["soft"].mean_over_classes = True
    return made, batch, guide


def imitator(make_bert: Make, batch: Batch, padding: str = "excluded") -> tuple[Any, Batch, Any]:
    teacher = make_bert("encoder", 3, num_hidden_layers=4, hidden_size=16).eval()
    students = (StudentConfig(name="a", layers=2, hidden=12),)
    options = {"count_padding": padding == "included"}
    terms = Terms(embedding=options, hidden=options, attention=options)
    made = build_learners(students, {"a": make_bert("encoder", 1)}, teacher.config, terms, seed=0)
    return made["a"], batch, frozen_teacher(teacher, guide_taps(made), torch.device("cpu"))


def imitator_with_padding(make_bert: Make, batch: Batch) -> tuple[Any, Batch, Any]:
    return imitator(make_bert, batch, "included")


def gradients(learner: Any, parts: list[Batch], target: Any, counts: Any) -> tuple[dict[str, float], list[Any]]:
    learner.zero_grad()
    terms: dict[str, float] = {}
    for part in parts:
        found = learner(part, {TEACHER: target(part)} if target else {}, Moment(counts))
        torch.stack(list(found.values())).sum().backward()
        for name, value in found.items():
            terms[name] = terms.get(name, 0.0) + value.item()
    return terms, [parameter.grad.clone() for parameter in learner.parameters() if parameter.grad is not None]


@pytest.mark.parametrize(
    "make", [mlm, classifier, regression, predictor, predictor_by_elements, imitator, imitator_with_padding]
)
def test_parts_add_up_to_the_whole(make: Any, make_bert: Make, batch: Batch) -> None:
    learner, whole, target = make(make_bert, batch)
    learner.eval()
    counts = count(whole)
    parts = [{name: tensor[rows] for name, tensor in whole.items()} for rows in PARTS]
    expected, wanted = gradients(learner, [whole], target, None)
    for counted in ([whole], parts):
        terms, found = gradients(learner, counted, target, counts)
        assert terms == pytest.approx(expected, rel=1e-5)
        for gradient, reference in zip(found, wanted, strict=True):
            torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("padding", ["excluded", "included"])
def test_batches_of_unlike_lengths_accumulate_to_the_gradient_of_one(
    padding: str, make_bert: Make, batch: Batch
) -> None:
    """As a training feeds them: each batch padded by itself, or all of a step alike where padding counts."""
    learner, whole, target = imitator(make_bert, batch, padding)
    learner.eval()
    lengths = whole["attention_mask"].sum(dim=1).numpy()

    def read(rows: Any, _draw: int) -> Batch:
        return {name: tensor[rows][:, : int(lengths[rows].max())] for name, tensor in whole.items()}

    class Cut:
        def __len__(self) -> int:
            return 2

        def epoch(self, _epoch: int) -> list[Any]:
            return [np.array([1, 2]), np.array([0])]  # of 5 and of 7 tokens

    with Feed(Cut(), read, accumulate=2, total=1, alike=learner.counts_padding) as feed:
        step = feed.take(0)
    _, wanted = gradients(learner, [whole], target, None)
    _, found = gradients(learner, [micro.batch for micro in step.micro_batches], target, step.counts)
    for gradient, reference in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [mlm, classifier, predictor, imitator])
def test_operations_grow_with_what_is_read(make: Any, make_bert: Make, batch: Batch) -> None:
    learner, whole, _ = make(make_bert, batch)
    once, twice = count(whole), {name: 2 * value for name, value in count(whole).items()}
    assert learner.flops(twice) == pytest.approx(2 * learner.flops(once))
    # two layers, 12 wide, 16 within: 4 d^2 + 2 d f weights a layer, forward and twice that backward
    assert learner.flops(once) >= 3 * 2 * once["tokens"] * 2 * (4 * 144 + 2 * 12 * 16)
