"""The head in closed form: after the cut, and again whenever the encoder has changed."""

from copy import deepcopy

import pytest
import torch
from test_initialise_cut import config_of, cut_to, logits, teacher_of, text

from pipeline.config.models import Shape
from pipeline.errors import ModelError
from pipeline.models.initialise.head import copy_head, fit_head, head_of
from pipeline.models.released import relu_before_classifier
from pipeline.models.students import build_encoder
from pipeline.models.taps import encode

NARROW = Shape(layers=2, hidden=12, heads=3, intermediate=8)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_a_teachers_own_encoder_gets_the_teachers_head_back(family: str) -> None:
    teacher, rows = teacher_of(family), text(200)
    student = deepcopy(teacher)
    own, others = head_of(student), head_of(teacher)
    assert own is not None
    assert others is not None
    with torch.no_grad():
        for part in (own.hidden, own.classifier):
            part.weight.normal_()
            part.bias.normal_()
    fit_head(student, teacher, rows, penalty=0.0)
    # A state behind a LayerNorm has one direction without variance, in which the weight may differ.
    torch.testing.assert_close(logits(student, rows), logits(teacher, rows), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(own.classifier.weight, others.classifier.weight, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_the_classifier_is_the_ridge_of_the_teachers_logits(family: str) -> None:
    teacher, rows = teacher_of(family), text(100)
    student = cut_to(teacher, NARROW, (2, 4), batches=rows).model
    head = head_of(student)
    assert head is not None
    with torch.no_grad():
        first = torch.cat([encode(student.base_model, batch).last_hidden_state[:, 0] for batch in rows])
        hidden = head.activation(head.hidden(first)).double()
    centred = hidden - hidden.mean(dim=0)
    goal = logits(teacher, rows).double()
    penalty = 1e-2 * float(centred.square().sum(dim=0).mean())
    gram = centred.T @ centred + penalty * torch.eye(12, dtype=torch.float64)
    weight = torch.linalg.solve(gram, centred.T @ (goal - goal.mean(dim=0))).T
    torch.testing.assert_close(head.classifier.weight.double(), weight, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(logits(student, rows).mean(dim=0).double(), goal.mean(dim=0), atol=1e-5, rtol=1e-4)


def test_a_head_is_fitted_where_the_teachers_upper_layers_are_left_out() -> None:
    teacher, rows = teacher_of("bert"), text(200)
    shape = Shape(layers=2, hidden=24, heads=3, intermediate=16)
    student = cut_to(teacher, shape, (1, 2), batches=rows).model
    goal = logits(teacher, rows)
    fitted = (logits(student, rows) - goal).square().mean()
    copy_head(student, teacher)
    assert fitted < 0.5 * (logits(student, rows) - goal).square().mean()
    assert fitted < 0.9 * (goal - goal.mean(dim=0)).square().mean()


def test_a_head_can_be_fitted_again_after_the_encoder_has_learned() -> None:
    teacher, rows = teacher_of("bert"), text(150)
    student = cut_to(teacher, NARROW, (2, 4), batches=rows).model
    goal = logits(teacher, rows)

    def missed() -> float:
        return float((logits(student, rows) - goal).square().mean())

    with torch.no_grad():
        for parameter in student.base_model.encoder.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    student.train()
    before = missed()
    student.train()
    encoder = deepcopy(student.base_model.encoder.state_dict())
    fit_head(student, teacher, rows)
    assert student.training
    assert missed() < 0.8 * before
    assert all(torch.equal(tensor, encoder[name]) for name, tensor in student.base_model.encoder.state_dict().items())


def test_a_regression_has_one_output() -> None:
    teacher, rows = teacher_of("bert", num_labels=1), text(100)
    shape = Shape(layers=4, hidden=21, heads=3, intermediate=12)
    student = cut_to(teacher, shape, (1, 2, 3, 4), batches=rows).model
    assert student.config.num_labels == 1
    found = torch.corrcoef(torch.cat((logits(student, rows), logits(teacher, rows)), dim=1).T)[0, 1]
    assert found > 0.7


def test_a_head_needs_a_teachers_head_and_rows() -> None:
    teacher = teacher_of("bert")
    student = cut_to(teacher, NARROW, (2, 4)).model
    with pytest.raises(ModelError, match="no classification head to cut a student's head out of"):
        fit_head(student, teacher_of("bert", head=False), text())
    with pytest.raises(ModelError, match="no rows: give rows of the task"):
        fit_head(student, teacher, [])
    other = teacher_of("bert", num_labels=2)
    with pytest.raises(ModelError, match="has 3 outputs, its teacher 2"):
        fit_head(student, other, text())
    without = build_encoder(config_of(teacher_of("electra"), NARROW), 0)
    before = deepcopy(without.state_dict())
    fit_head(without, teacher_of("electra"), text())  # an ELECTRA encoder has no pooler: nothing to fit
    assert all(torch.equal(tensor, before[name]) for name, tensor in without.state_dict().items())


def test_a_head_behind_the_released_codes_relu_is_fitted_through_it() -> None:
    """Fitted to itself a model keeps its logits, whatever stands before the classifier."""
    teacher, rows = teacher_of("bert"), text(200)
    student = deepcopy(teacher)
    for model in (teacher, student):
        relu_before_classifier(model)
    plain = deepcopy(teacher)
    plain.classifier._forward_pre_hooks.clear()
    assert not torch.allclose(logits(plain, rows), logits(teacher, rows), atol=1e-2)
    fit_head(student, teacher, rows, penalty=0.0)
    torch.testing.assert_close(logits(student, rows), logits(teacher, rows), atol=1e-4, rtol=1e-3)
