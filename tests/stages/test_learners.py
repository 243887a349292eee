from collections.abc import Callable
from typing import Any

import pytest
import torch
from pipeline.stages.imitation import imitators, teacher_features
from pipeline.stages.learners import Classifier, MaskedLanguageModel, Predictor, read_features
from torch.nn import functional as F

from pipeline.config.distillation import Terms
from pipeline.config.models import StudentConfig
from pipeline.data.masking import IGNORED
from pipeline.distillation.losses import attention_score_loss, masked_mse
from pipeline.errors import ModelError
from pipeline.models.taps import Tap, encode

Make = Callable[..., Any]
Batch = dict[str, torch.Tensor]
CPU = torch.device("cpu")


def test_masked_language_model_equals_the_whole_head(make_bert: Make, batch: Batch) -> None:
    model = make_bert("masked_lm")
    labels = torch.full((3, 7), IGNORED)
    labels[0, 2], labels[1, 3], labels[2, 0] = 7, 8, 9
    loss = MaskedLanguageModel(model)(batch | {"labels": labels})["masked_lm"]
    whole = F.cross_entropy(encode(model, batch).logits.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(loss, whole)


def test_a_batch_in_which_nothing_is_masked_has_no_loss(make_bert: Make, batch: Batch) -> None:
    learner = MaskedLanguageModel(make_bert("masked_lm"))
    loss = learner(batch | {"labels": torch.full((3, 7), IGNORED)})["masked_lm"]
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in learner.parameters())


def test_a_frozen_encoder_learns_a_head_only_and_has_no_dropout(make_bert: Make, batch: Batch) -> None:
    model = make_bert("masked_lm", hidden_dropout_prob=0.5)
    learner = MaskedLanguageModel(model, frozen_encoder=True).train()
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
    found = Classifier(model, regression=False)(batch | {"labels": labels})
    torch.testing.assert_close(found["labels"], F.cross_entropy(logits, labels))
    wanted = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    found = Predictor(model, regression=False, temperature=2.0)(batch | {"logits": wanted})
    expected = F.cross_entropy(logits / 2, (wanted / 2).softmax(-1))
    torch.testing.assert_close(found["prediction"], expected)
    averaged = Predictor(model, regression=False, temperature=2.0, mean_over_classes=True)
    torch.testing.assert_close(averaged(batch | {"logits": wanted})["prediction"], expected / 3)


def test_regression_compares_numbers(make_bert: Make, batch: Batch) -> None:
    model = make_bert("classifier", num_labels=1).eval()
    scores = encode(model, batch).logits[:, 0]
    wanted = torch.tensor([0.5, 2.0, -1.0])
    expected = ((scores - wanted) ** 2).mean()
    found = Classifier(model, regression=True)(batch | {"labels": wanted})
    torch.testing.assert_close(found["labels"], expected)
    imitated = Predictor(model, regression=True)(batch | {"logits": wanted[:, None]})
    torch.testing.assert_close(imitated["prediction"], expected)


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
    whole = read_features(Tap(teacher, [1, 2, 3, 4]), batch)
    learners, layers = imitators(configs, models, teacher, Terms(), seed=0)
    assert layers == [1, 2, 4]  # uniform 2 of 4, and layer 1 twice
    target = teacher_features(teacher, layers, CPU)(batch)
    for name, mapped in (("a", (2, 4)), ("b", (1, 1))):
        learner, mask = learners[name], batch["attention_mask"]
        found = learner(batch, target)
        own = read_features(Tap(models[name], [1, 2]), batch)
        projected = [learner.objective.hidden_projection(h) for h in own.hidden_states]
        hidden = sum(
            masked_mse(h, whole.hidden_states[layer - 1], mask) for h, layer in zip(projected, mapped, strict=True)
        )
        attention = sum(
            attention_score_loss(pair, whole.attention[layer - 1], mask)
            for pair, layer in zip(own.attention, mapped, strict=True)
        )
        torch.testing.assert_close(found["hidden"], hidden)
        torch.testing.assert_close(found["attention"], attention)


def test_a_students_projections_do_not_depend_on_the_other_students(make_bert: Make) -> None:
    configs, models = students(make_bert)
    teacher = make_bert("encoder", 3, num_hidden_layers=4)
    both, _ = imitators(configs, models, teacher, Terms(), seed=0)
    one, _ = imitators(configs[1:], models, teacher, Terms(), seed=0)
    assert torch.equal(both["b"].objective.hidden_projection.weight, one["b"].objective.hidden_projection.weight)
    assert not torch.equal(
        both["b"].objective.hidden_projection.weight, both["b"].objective.embedding_projection.weight
    )


def test_the_teacher_gives_no_gradients_and_has_no_dropout_unless_asked(make_bert: Make, batch: Batch) -> None:
    for dropout in (False, True):
        teacher = make_bert("encoder", 3, hidden_dropout_prob=0.5)
        features = teacher_features(teacher, [2], CPU, dropout=dropout)
        first, second = features(batch), features(batch)
        assert not first.hidden_states[0].requires_grad
        assert torch.equal(first.hidden_states[0], second.hidden_states[0]) != dropout


def test_without_attention_scores_head_counts_may_differ(make_bert: Make, batch: Batch) -> None:
    configs, models = students(make_bert)
    teacher = make_bert("encoder", 3, num_attention_heads=3)
    with pytest.raises(ModelError, match="teacher has 3 attention heads, student 'a' 2"):
        imitators(configs, models, teacher, Terms(), seed=0)
    learners, layers = imitators(configs, models, teacher, Terms(attention=0), seed=0)
    for attention in (True, False):
        target = teacher_features(teacher, layers, CPU, attention=attention)(batch)
        assert set(learners["a"](batch, target)) == {"embedding", "hidden"}


def test_what_cannot_be_imitated_is_refused(make_bert: Make) -> None:
    configs, models = students(make_bert)
    teacher = make_bert("encoder", 3)
    with pytest.raises(ModelError, match="every weight in terms is 0"):
        imitators(configs, models, teacher, Terms(embedding=0, hidden=0, attention=0), seed=0)
    wrong = (configs[0].model_copy(update={"layer_map": (1, 5)}),)
    with pytest.raises(ModelError, match=r"student 'a': layer map \(1, 5\) names a layer outside 1\.\.2"):
        imitators(wrong, models, teacher, Terms(), seed=0)
