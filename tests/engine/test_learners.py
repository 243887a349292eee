from collections.abc import Callable
from typing import Any

import pytest
import torch
from reading import read_layers, taps_of
from torch.nn import functional as F

from pipeline.config.distillation import TRANSFORMER_LAYERS
from pipeline.config.models import StudentConfig
from pipeline.config.terms import KINDS, Terms
from pipeline.distillation.attention_loss import Attention
from pipeline.distillation.losses import attention_score_loss, masked_mse
from pipeline.distillation.objective import Objective, Part
from pipeline.distillation.terms.response import SoftTerm
from pipeline.engine.guides.frozen import frozen_teacher
from pipeline.engine.guides.outputs import stored_outputs
from pipeline.engine.learner import Learner
from pipeline.engine.objectives import TEACHER, Pair, build_learners, from_labels, guide_taps, masked_words, objective
from pipeline.errors import ModelError
from pipeline.features import IGNORED, OUTPUT, Outcome, Tap
from pipeline.models.taps import encode

Make = Callable[..., Any]
Batch = dict[str, torch.Tensor]
CPU = torch.device("cpu")


def soft(outcome: Outcome, **options: Any) -> Objective:
    return Objective([Part("soft", SoftTerm(outcome, **options), guide=TEACHER)])


def test_masked_language_model_equals_the_whole_head(make_bert: Make, batch: Batch) -> None:
    model = make_bert("masked_lm")
    labels = torch.full((3, 7), IGNORED)
    labels[0, 2], labels[1, 3], labels[2, 0] = 7, 8, 9
    loss = Learner(model, masked_words())(batch | {"labels": labels})["masked_lm"]
    whole = F.cross_entropy(encode(model, batch).logits.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(loss, whole)


@pytest.mark.parametrize("kind", KINDS)
def test_a_term_reads_what_its_options_say(make_bert: Make, kind: str) -> None:
    """So that a student can be tried before anything is built."""
    config = make_bert("encoder").config
    terms = Terms.model_validate({kind: 1})
    built = objective(terms, Pair(config, config, [(1, 1)], "classes", 0))
    assert {tap.what for tap in built.student_taps} == terms.shown


def test_a_batch_in_which_nothing_is_masked_has_no_loss(make_bert: Make, batch: Batch) -> None:
    learner = Learner(make_bert("masked_lm"), masked_words())
    loss = learner(batch | {"labels": torch.full((3, 7), IGNORED)})["masked_lm"]
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in learner.parameters())


def test_a_frozen_encoder_learns_a_head_only_and_has_no_dropout(make_bert: Make, batch: Batch) -> None:
    model = make_bert("masked_lm", hidden_dropout_prob=0.5)
    learner = Learner(model, masked_words(), frozen_encoder=True).train()
    labels = batch["input_ids"].where(batch["attention_mask"], torch.tensor(IGNORED))
    losses = [learner(batch | {"labels": labels})["masked_lm"] for _ in range(2)]
    assert torch.equal(*losses)
    losses[0].backward()
    assert all(p.grad is None for p in model.base_model.parameters())
    assert model.cls.predictions.transform.dense.weight.grad.abs().sum() > 0


def test_classifier_and_predictor(make_bert: Make, batch: Batch) -> None:
    model = make_bert("classifier", num_labels=3).eval()
    logits = encode(model, batch).logits
    labels = torch.tensor([2, 0, 1])
    found = Learner(model, from_labels("classes"))(batch | {"labels": labels})
    torch.testing.assert_close(found["hard"], F.cross_entropy(logits, labels))
    wanted = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    found = Learner(model, soft("classes", temperature=2.0))(batch, {TEACHER: stored_outputs({"logits": wanted})})
    expected = F.cross_entropy(logits / 2, (wanted / 2).softmax(-1))
    torch.testing.assert_close(found["soft"], expected)
    averaged = Learner(model, soft("classes", temperature=2.0, mean_over_classes=True))
    torch.testing.assert_close(averaged(batch, {TEACHER: {OUTPUT: wanted}})["soft"], expected / 3)


def test_regression_compares_numbers(make_bert: Make, batch: Batch) -> None:
    model = make_bert("classifier", num_labels=1).eval()
    scores = encode(model, batch).logits[:, 0]
    wanted = torch.tensor([0.5, 2.0, -1.0])
    expected = ((scores - wanted) ** 2).mean()
    found = Learner(model, from_labels("value"))(batch | {"labels": wanted})
    torch.testing.assert_close(found["hard"], expected)
    imitated = Learner(model, soft("value"))(batch, {TEACHER: {OUTPUT: wanted[:, None]}})
    torch.testing.assert_close(imitated["soft"], expected)


def students(make_bert: Make) -> tuple[tuple[StudentConfig, ...], dict[str, Any]]:
    configs = (
        StudentConfig(name="a", layers=2, hidden=12),
        StudentConfig(name="b", layers=2, hidden=8, layer_map=(1, 1)),
    )
    models = {"a": make_bert("encoder", 1), "b": make_bert("encoder", 2, hidden_size=8)}
    return configs, models


def test_each_student_imitates_the_layers_of_its_map(make_bert: Make, batch: Batch) -> None:
    configs, models = students(make_bert)
    teacher = make_bert("encoder", 3, num_hidden_layers=4, hidden_size=16).eval()
    whole = read_layers(teacher, [1, 2, 3, 4], batch)
    made = build_learners(configs, models, teacher.config, TRANSFORMER_LAYERS, seed=0)
    taps = guide_taps(made)
    assert taps == tuple(sorted(taps_of([1, 2, 4])))  # uniform 2 of 4, and layer 1 twice
    target = frozen_teacher(teacher, taps, CPU)(batch)
    for name, mapped in (("a", (2, 4)), ("b", (1, 1))):
        learner, mask = made[name], batch["attention_mask"]
        found = learner(batch, {TEACHER: target})
        own = read_layers(models[name], [1, 2], batch)
        projected = [learner.objective.terms["hidden"].projection(h) for h in own.hidden]
        hidden = sum(masked_mse(h, whole.hidden[layer - 1], mask) for h, layer in zip(projected, mapped, strict=True))
        attention = sum(
            attention_score_loss(Attention(*pair), Attention(*whole.attention[layer - 1]), mask)
            for pair, layer in zip(own.attention, mapped, strict=True)
        )
        torch.testing.assert_close(found["hidden"], hidden)
        torch.testing.assert_close(found["attention"], attention)


def test_a_students_projections_do_not_depend_on_the_other_students(make_bert: Make) -> None:
    configs, models = students(make_bert)
    teacher = make_bert("encoder", 3, num_hidden_layers=4)
    both = build_learners(configs, models, teacher.config, TRANSFORMER_LAYERS, seed=0)["b"].objective.terms
    one = build_learners(configs[1:], models, teacher.config, TRANSFORMER_LAYERS, seed=0)["b"].objective.terms
    assert torch.equal(both["hidden"].projection.weight, one["hidden"].projection.weight)
    assert not torch.equal(both["hidden"].projection.weight, both["embedding"].projection.weight)


def test_the_teacher_gives_no_gradients_and_has_no_dropout_unless_asked(make_bert: Make, batch: Batch) -> None:
    for dropout in (False, True):
        teacher = make_bert("encoder", 3, hidden_dropout_prob=0.5)
        show, tap = frozen_teacher(teacher, [Tap("hidden", 2)], CPU, dropout=dropout), Tap("hidden", 2)
        first, second = show(batch)[tap], show(batch)[tap]
        assert not first.requires_grad
        assert torch.equal(first, second) != dropout


def test_without_attention_scores_head_counts_may_differ(make_bert: Make, batch: Batch) -> None:
    configs, models = students(make_bert)
    teacher = make_bert("encoder", 3, num_attention_heads=3)
    with pytest.raises(ModelError, match="teacher has 3 attention heads, student 'a' 2"):
        build_learners(configs, models, teacher.config, TRANSFORMER_LAYERS, seed=0)
    made = build_learners(configs, models, teacher.config, Terms(embedding=1, hidden=1), seed=0)
    taps = guide_taps(made)
    assert not [tap for tap in taps if tap.what in ("query", "key")]
    target = frozen_teacher(teacher, taps, CPU)(batch)
    assert set(made["a"](batch, {TEACHER: target})) == {"embedding", "hidden"}


def test_what_cannot_be_imitated_is_refused(make_bert: Make) -> None:
    configs, models = students(make_bert)
    teacher = make_bert("encoder", 3)
    with pytest.raises(ModelError, match="every weight in terms is 0"):
        build_learners(configs, models, teacher.config, Terms(embedding=0, hidden=0, attention=0), seed=0)
    wrong = (configs[0].model_copy(update={"layer_map": (1, 5)}),)
    with pytest.raises(ModelError, match=r"student 'a': layer map \(1, 5\) names a layer outside 1\.\.2"):
        build_learners(wrong, models, teacher.config, TRANSFORMER_LAYERS, seed=0)
