"""A student cut out of its teacher: the whole, on tiny models with weights far from degenerate."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
import torch
from test_families import SETTINGS, USUAL
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from pipeline.config.distillation import TRANSFORMER_LAYERS
from pipeline.config.models import Shape
from pipeline.engine.objectives import TEACHER, Pair, objective
from pipeline.features import Moment
from pipeline.models.initialise.cut import Cut, cut
from pipeline.models.initialise.post_norm import after_attention, after_feed_forward, embedding_output, layers_of
from pipeline.models.students import build_encoder, student_config
from pipeline.models.taps import Reader, encode

Batch = dict[str, torch.Tensor]
FAMILIES = ("bert", "roberta", "electra", "xlm-roberta", "camembert")
WHOLE = Shape(layers=4, hidden=24, heads=3, intermediate=16)


def teacher_of(family: str, *, head: bool = True, **changed: Any) -> PreTrainedModel:
    """A model whose states, scores and feed-forward units are far from uniform."""
    config = AutoConfig.for_model(family, **(SETTINGS.get(family, USUAL) | {"num_labels": 3} | changed))
    torch.manual_seed(0)
    factory = AutoModelForSequenceClassification if head else AutoModel
    model = factory.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.3)
            else:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def text(rows: int = 48, length: int = 14, *, batch: int = 8, seed: int = 0, pad: int = 1) -> list[Batch]:
    """Rows of several lengths and two segments, some tokens far more frequent than others."""
    generator = torch.Generator().manual_seed(seed)
    ids = 3 + (37 * torch.rand(rows, length, generator=generator) ** 2).long()
    lengths = torch.randint(5, length + 1, (rows,), generator=generator)
    mask = torch.arange(length) < lengths[:, None]
    segments = (torch.arange(length) > 3).long() * mask
    parts = {"input_ids": ids.where(mask, torch.tensor(pad)), "attention_mask": mask, "token_type_ids": segments}
    return [{name: tensor[i : i + batch] for name, tensor in parts.items()} for i in range(0, rows, batch)]


def config_of(teacher: PreTrainedModel, shape: Shape, layers: Sequence[int] | None = None) -> PretrainedConfig:
    return student_config(shape, teacher.config, dropout=0.1, layers=layers)


def cut_to(teacher: PreTrainedModel, shape: Shape, layers: Sequence[int], **options: Any) -> Cut:
    options = {"head": True, "batches": text()} | options
    return cut(teacher, config_of(teacher, shape, layers), options.pop("batches"), layers, **options)


@torch.no_grad()
def logits(model: PreTrainedModel, batches: Sequence[Batch]) -> torch.Tensor:
    return torch.cat([encode(model.eval(), batch).logits for batch in batches])


@torch.no_grad()
def states(model: PreTrainedModel, batches: Sequence[Batch]) -> list[torch.Tensor]:
    """Every hidden state of all real tokens, lowest first."""
    seen = [encode(model.base_model, batch, output_hidden_states=True).hidden_states for batch in batches]
    masks = [batch["attention_mask"] for batch in batches]
    return [torch.cat([of[mask] for of, mask in zip(layer, masks, strict=True)]) for layer in zip(*seen, strict=True)]


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_the_parts_of_a_layer_compute_what_the_library_does(family: str) -> None:
    model, (batch, *_) = teacher_of(family), text()
    mask = batch["attention_mask"]
    expected = encode(model.base_model, batch, output_hidden_states=True).hidden_states
    x = embedding_output(model, batch)
    torch.testing.assert_close(x[mask], expected[0][mask])
    for layer, wanted in zip(layers_of(model), expected[1:], strict=True):
        x = after_feed_forward(layer, after_attention(layer, x, mask))
        torch.testing.assert_close(x[mask], wanted[mask], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("same_width", ["copy", "refit"])
def test_cutting_nothing_is_the_teacher(family: str, same_width: str) -> None:
    teacher, others = teacher_of(family), text(seed=9)
    before = deepcopy(teacher.state_dict())
    found = cut_to(teacher, WHOLE, (1, 2, 3, 4), same_width=same_width)
    assert type(found.model) is type(teacher)
    torch.testing.assert_close(logits(found.model, others), logits(teacher, others), atol=1e-6, rtol=1e-6)
    assert torch.equal(found.basis, torch.eye(24, dtype=torch.float64))
    assert set(found.unexplained.values()) == {0.0}
    for projection in (found.embedding_projection, found.hidden_projection):
        torch.testing.assert_close(projection, torch.eye(24), atol=1e-5, rtol=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


def test_an_encoder_without_a_head_is_cut_with_its_pooler() -> None:
    teacher, (batch, *_) = teacher_of("bert", head=False), text(seed=9)
    found = cut_to(teacher, WHOLE, (1, 2, 3, 4), head=False)
    with torch.no_grad():
        torch.testing.assert_close(encode(found.model, batch).pooler_output, encode(teacher, batch).pooler_output)
    narrow = cut_to(teacher, Shape(layers=2, hidden=12, heads=3, intermediate=8), (2, 4), head=False).model
    with torch.no_grad():
        assert encode(narrow, batch).pooler_output.std() > 0.05


def test_few_tokens_are_enough_to_copy_everything() -> None:
    teacher, few = teacher_of("bert"), text(1, 8)
    found = cut_to(teacher, WHOLE, (1, 2, 3, 4), batches=few)
    assert torch.equal(logits(found.model, few), logits(teacher, few))


def test_whole_layers_of_the_same_width_are_copied_or_fitted() -> None:
    teacher = teacher_of("bert")
    shape = Shape(layers=2, hidden=24, heads=3, intermediate=16)
    copied, fitted = (cut_to(teacher, shape, (1, 4), same_width=way) for way in ("copy", "refit"))
    own, others = layers_of(copied.model), layers_of(teacher)
    for layer, other in ((own[0], others[0]), (own[1], others[3])):
        assert torch.equal(layer.query.weight, other.query.weight)
        assert torch.equal(layer.down.weight, other.down.weight)
        assert torch.equal(layer.output_norm.bias, other.output_norm.bias)
    lowest = layers_of(fitted.model)[0]
    assert torch.equal(lowest.down.weight, others[0].down.weight)  # nothing is left out below it
    assert copied.unexplained["layer 1"] == fitted.unexplained["layer 1"] == 0
    assert fitted.unexplained["layer 4"] < copied.unexplained["layer 4"]


@pytest.mark.parametrize("way", ["heads", "units"])
def test_at_the_same_width_what_is_not_cut_is_copied(way: str) -> None:
    teacher = teacher_of("bert", num_attention_heads=4)
    shape = Shape(layers=4, hidden=24, heads=2 if way == "heads" else 4, intermediate=8 if way == "units" else 16)
    found = cut_to(teacher, shape, (1, 2, 3, 4))
    own, others = layers_of(found.model), layers_of(teacher)
    for layer, other in zip(own, others, strict=True):
        assert torch.equal(layer.query.weight, other.query.weight) == (way == "units")
        assert torch.equal(layer.down.weight[:, :8], other.down.weight[:, :8]) == (way == "heads")
    assert 0 < found.unexplained["layer 1"] < 0.5


def permuted(teacher: PreTrainedModel, order: torch.Tensor) -> PreTrainedModel:
    """The same BERT with the channels of its residual stream in another order."""
    model = deepcopy(teacher)
    embeddings = model.base_model.embeddings
    with torch.no_grad():
        for table in (embeddings.word_embeddings, embeddings.position_embeddings, embeddings.token_type_embeddings):
            table.weight.copy_(table.weight[:, order].clone())
        norms, readers, writers = [embeddings.LayerNorm], [model.base_model.pooler.dense], []
        for layer in layers_of(model):
            norms += [layer.attention_norm, layer.output_norm]
            readers += [layer.query, layer.key, layer.value, layer.up]
            writers += [layer.attention_out, layer.down]
        for norm in norms:
            norm.weight.copy_(norm.weight[order].clone())
            norm.bias.copy_(norm.bias[order].clone())
        for reader in readers:
            reader.weight.copy_(reader.weight[:, order].clone())
        for writer in writers:
            writer.weight.copy_(writer.weight[order].clone())
            writer.bias.copy_(writer.bias[order].clone())
    return model


def test_the_order_of_the_teachers_channels_changes_nothing_but_rounding() -> None:
    teacher, others = teacher_of("bert").double(), text(seed=9)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(4))
    turned = permuted(teacher, order)
    torch.testing.assert_close(logits(turned, others), logits(teacher, others))
    for hidden, heads in ((12, 3), (24, 2)):
        shape = Shape(layers=2, hidden=hidden, heads=heads, intermediate=8)
        found = []
        for model in (teacher, turned):
            config = config_of(model, shape, (2, 4))
            config.dtype = torch.float64
            found.append(cut(model, config, text(), (2, 4), head=True))
        straight, other = found
        torch.testing.assert_close(logits(other.model, others), logits(straight.model, others), atol=1e-6, rtol=1e-5)
        if hidden == 12:
            for own, wanted in zip(states(other.model, others), states(straight.model, others), strict=True):
                torch.testing.assert_close(own, wanted, atol=1e-6, rtol=1e-5)
        projection = straight.hidden_projection
        expected = projection[order] if hidden == 12 else projection[order][:, order]
        torch.testing.assert_close(other.hidden_projection, expected, atol=1e-5, rtol=1e-4)


def test_the_same_arguments_give_the_same_bytes() -> None:
    teacher = teacher_of("electra")
    shape = Shape(layers=2, hidden=16, heads=2, intermediate=8)
    torch.manual_seed(1)
    first = cut_to(teacher, shape, (1, 3), seed=5)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    second = cut_to(teacher, shape, (1, 3), seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name
    assert torch.equal(first.hidden_projection, second.hidden_projection)
    assert not torch.equal(first.basis, cut_to(teacher, shape, (1, 3), seed=6).basis)


def trained(steps: int = 150) -> PreTrainedModel:
    """A BERT that has learned a little: which of two word pieces a row holds more often."""
    config = AutoConfig.for_model(
        "bert",
        **(USUAL | {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64, "num_labels": 2}),
    )
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(steps):
        (batch,) = text(32, batch=32, seed=1000 + step)
        label = label_of(batch)
        loss = torch.nn.functional.cross_entropy(encode(model, batch).logits, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def label_of(batch: Batch) -> torch.Tensor:
    few, many = ((batch["input_ids"] % 2 == side) & batch["attention_mask"] for side in (0, 1))
    return (few.sum(dim=1) > many.sum(dim=1)).long()


def test_before_any_training_the_loss_is_far_below_a_random_starts() -> None:
    teacher, layers, others = trained(), (2, 4), text(seed=9)
    shape = Shape(layers=2, hidden=16, heads=4, intermediate=32)
    config = config_of(teacher, shape, layers)
    found = cut(teacher, config, text(200), layers, head=True)
    students = {"random": build_encoder(config, 0).eval(), "cut": found.model}
    loss = {}
    for name, student in students.items():
        pair = Pair(student.config, teacher.config, list(enumerate(layers, start=1)), None, 0)
        made = objective(TRANSFORMER_LAYERS, pair)
        if name == "cut":
            made.terms["embedding"].projection.weight.data.copy_(found.embedding_projection)
            made.terms["hidden"].projection.weight.data.copy_(found.hidden_projection)
        own, guide = Reader(student, made.student_taps), Reader(teacher, made.guide_taps(TEACHER))
        with torch.no_grad():
            parts = [made(own(batch), {TEACHER: guide(batch)}, batch, Moment()) for batch in others]
        loss[name] = sum(float(value) for part in parts for value in part.values()) / len(others)
    assert loss["cut"] < 0.25 * loss["random"]
    agree = logits(found.model, others).argmax(dim=1) == logits(teacher, others).argmax(dim=1)
    assert agree.float().mean() > 0.8
