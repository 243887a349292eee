"""A student of any shape, of each family, is cut and follows its teacher; memory does not grow with the depth."""

import weakref
from pathlib import Path

import pytest
import torch
from test_initialise_cut import config_of, cut_to, logits, states, teacher_of, text
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from pipeline.config.models import Shape
from pipeline.models.initialise.cut import cut
from pipeline.models.initialise.post_norm import layers_of
from pipeline.models.load import load_finetuned
from pipeline.models.source import ModelSource
from pipeline.models.taps import encode

SHAPES = [
    Shape(layers=2, hidden=12, heads=3, intermediate=8),
    Shape(layers=3, hidden=18, heads=2, intermediate=16),  # heads wider than the teacher's, and fewer
    Shape(layers=1, hidden=20, heads=5, intermediate=10),  # more heads than the teacher's
    Shape(layers=4, hidden=24, heads=1, intermediate=4),
    Shape(layers=2, hidden=8, heads=4, intermediate=1),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_any_shape_of_any_family_follows_the_teacher(family: str, shape: Shape) -> None:
    teacher, batches = teacher_of(family), text(200, batch=50)
    layers = tuple(range(5 - shape.layers, 5))
    found = cut_to(teacher, shape, layers, batches=batches)
    assert found.model.config.hidden_size == shape.hidden
    assert all(torch.isfinite(parameter).all() for parameter in found.model.parameters())
    assert not found.model.training
    assert torch.isfinite(logits(found.model, text(seed=9))).all()
    goal, own = states(teacher, batches), states(found.model, batches)
    for ours, theirs in ((0, 0), *enumerate(layers, start=1)):
        projection = found.hidden_projection if ours else found.embedding_projection
        assert projection.shape == (24, shape.hidden)
        error = (own[ours] @ projection.T - goal[theirs]).square().mean()
        # Weights at random can hardly be compressed, so little more than a constant is left to the smallest.
        assert error < 0.95 * (goal[theirs] - goal[theirs].mean(dim=0)).square().mean()


def test_the_share_that_is_missed_is_that_of_the_students_states() -> None:
    teacher, batches = teacher_of("bert"), text()
    found = cut_to(teacher, Shape(layers=2, hidden=12, heads=3, intermediate=8), (2, 4))
    goal, own = states(teacher, batches), states(found.model, batches)
    for name, theirs, ours in (("embedding", 0, 0), ("layer 2", 2, 1), ("layer 4", 4, 2)):
        target = goal[theirs].double() @ found.basis
        missed = (target - own[ours]).square().sum() / (target - target.mean(dim=0)).square().sum()
        assert found.unexplained[name] == pytest.approx(float(missed), rel=1e-3)
        share = target.square().sum() / goal[theirs].double().square().sum()
        assert found.explained[name] == pytest.approx(float(share), rel=1e-4)


@pytest.mark.parametrize(("own", "others"), [(10, 10), (6, 10), (12, 24), (6, 24)])
def test_embeddings_of_an_electra_may_be_narrower(own: int, others: int) -> None:
    teacher = teacher_of("electra", embedding_size=others)
    config = config_of(teacher, Shape(layers=2, hidden=12, heads=3, intermediate=8), (2, 4))
    config.embedding_size = own
    found = cut(teacher, config, text(), (2, 4), head=True)
    assert (getattr(found.model.base_model, "embeddings_project", None) is None) == (own == 12)
    exact = own == others
    assert found.unexplained["embedding"] < (1e-9 if exact else 0.5)
    target = states(teacher, text())[0].double() @ found.basis
    missed = (states(found.model, text())[0] - target).square().sum() / (target - target.mean(dim=0)).square().sum()
    assert float(missed) == pytest.approx(found.unexplained["embedding"], rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_a_cut_student_is_saved_and_opened_as_any_model(family: str, tmp_path: Path) -> None:
    found = cut_to(teacher_of(family), SHAPES[0], (2, 4)).model
    found.save_pretrained(tmp_path)
    opened = load_finetuned(ModelSource(str(tmp_path)))
    assert torch.equal(logits(opened, text(seed=9)), logits(found, text(seed=9)))


def test_rows_to_spare_in_a_wider_head_can_learn() -> None:
    teacher = teacher_of("bert")  # three heads of 8
    found = cut_to(teacher, Shape(layers=1, hidden=24, heads=2, intermediate=16), (1,)).model.train()
    (layer,), (batch, *_) = layers_of(found), text()
    assert layer.key.weight[8:12].abs().sum() == 0  # of a head of 12
    assert layer.query.weight[8:12].abs().sum() > 0
    encode(found, batch).logits.square().sum().backward()
    assert layer.key.weight.grad[8:12].abs().sum() > 0
    assert layer.value.weight.grad[8:12].abs().sum() > 0


class LiveBytes(TorchDispatchMode):
    """Follows the bytes of the storages made while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        for tensor in output if isinstance(output, tuple | list) else (output,):
            if not isinstance(tensor, torch.Tensor) or id(tensor.untyped_storage()) in self._known:
                continue
            storage = tensor.untyped_storage()
            size, identity = storage.nbytes(), id(storage)
            self._known.add(identity)
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._freed, identity, size)
        return output

    def _freed(self, identity: int, size: int) -> None:
        self._known.discard(identity)
        self.live -= size


def peak_of(teacher: PreTrainedModel, layers: tuple[int, ...], rows: int) -> int:
    config = config_of(teacher, Shape(layers=len(layers), hidden=12, heads=3, intermediate=8), layers)
    batches = text(rows, 16, batch=64)
    with LiveBytes() as memory:
        cut(teacher, config, batches, layers, head=False)
    return memory.peak


def test_memory_holds_the_states_of_one_depth_whatever_the_depth() -> None:
    teacher = teacher_of("bert", head=False)
    rows = 512
    state = rows * 16 * (24 + 12) * 4  # teacher and student at one depth, float32
    shallow, deep, long = (
        peak_of(teacher, layers, count)
        for layers, count in (((4,), rows), ((1, 2, 3, 4), rows), ((1, 2, 3, 4), 2 * rows))
    )
    assert deep - shallow < 0.15 * state  # three more layers: their weights and moments
    assert long - deep < 1.2 * state  # as many tokens again
