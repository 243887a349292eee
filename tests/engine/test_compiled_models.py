"""A compiled step is one graph a module, serves every shape, and gives the losses of the plain one."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from reading import read_layers
from torch import Tensor
from torch.fx import GraphModule
from transformers import BertConfig, BertModel

from pipeline.config.distillation import TRANSFORMER_LAYERS
from pipeline.engine.learner import Learner
from pipeline.engine.objectives import TEACHER, Pair, objective
from pipeline.features import Moment
from pipeline.models.precision import autocast, prepare_teacher
from pipeline.models.speed.compilation import compile_encoder, compile_module
from pipeline.models.taps import Reader
from pipeline.training.counts import count

pytestmark = pytest.mark.slow
SHAPE = {"vocab_size": 60, "intermediate_size": 20, "num_attention_heads": 3, "max_position_embeddings": 64}
SHAPES = [(7, 10), (9, 14), (5, 26), (6, 32), (4, 60)]  # the last takes the Gram form
Batch = dict[str, Tensor]
Backend = Callable[[GraphModule, list[Any]], Any]


@pytest.fixture(autouse=True)
def _nothing_compiled() -> Iterator[None]:
    torch._dynamo.reset()
    with torch._dynamo.config.patch(specialize_float=False, recompile_limit=8):
        yield
    torch._dynamo.reset()


def batch(rows: int, length: int) -> Batch:
    generator = torch.Generator().manual_seed(rows * length)
    ids = torch.randint(5, 60, (rows, length), generator=generator)
    lengths = torch.randint(2, length + 1, (rows,), generator=generator)
    lengths[0] = length
    return {"input_ids": ids, "attention_mask": torch.arange(length) < lengths[:, None]}


def bert(width: int, layers: int) -> BertModel:
    torch.manual_seed(width)
    return BertModel(BertConfig(hidden_size=width, num_hidden_layers=layers, **SHAPE), add_pooling_layer=False)


def losses(backend: Backend | None = None) -> list[float]:
    """Of five steps of imitation, dropout on, each with counts of its own."""
    teacher, student = bert(72, 2).eval().requires_grad_(False), bert(24, 1)
    pair = Pair(student.config, teacher.config, [(1, 2)], None, 3)
    made = objective(TRANSFORMER_LAYERS, pair)
    learner, read = Learner(student, made).train(), Reader(teacher, made.guide_taps(TEACHER))
    if backend is not None:
        compile_encoder(teacher, backend=backend)
        compile_encoder(student, backend=backend)
        compile_module(learner.objective, backend=backend)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-2)
    found = []
    for rows, length in SHAPES:
        inputs = batch(rows, length)
        with torch.no_grad():
            target = {TEACHER: read(inputs)}
        torch.manual_seed(length)
        loss = torch.stack(list(learner(inputs, target, Moment(count(inputs))).values())).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(loss.item())
    return found


def test_the_losses_are_those_of_the_plain_step_and_the_graphs_are_few() -> None:
    compiled = []

    def backend(graph: GraphModule, inputs: list[Any]) -> Any:
        compiled.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    plain = losses()
    assert losses(backend) == pytest.approx(plain, rel=1e-5)
    assert len(set(plain)) == len(plain)
    # Teacher, student, and the objective in its direct and its Gram form.
    assert len(compiled) == 4


def test_a_compiled_teacher_in_bfloat16_says_what_the_plain_one_says() -> None:
    plain, compiled = bert(24, 1).eval(), bert(24, 1).eval()
    for model in (plain, compiled):
        prepare_teacher(model, "bfloat16")
    compile_encoder(compiled, backend="aot_eager")
    inputs = batch(5, 12)
    with torch.no_grad(), autocast("bfloat16", torch.device("cpu")):
        expected, found = (read_layers(model, [1], inputs) for model in (plain, compiled))
    torch.testing.assert_close(found.hidden[0], expected.hidden[0], atol=0.02, rtol=0.02)
    torch.testing.assert_close(found.attention[0][1], expected.attention[0][1], atol=0.02, rtol=0.02)
    assert list(compiled.state_dict()) == list(plain.state_dict())
