import pytest
import torch

from pipeline.distillation.features import Attention, Features
from pipeline.distillation.losses import attention_score_loss, masked_mse
from pipeline.distillation.objectives import TransformerObjective

MASK = torch.tensor([[True, True, False], [True, True, True]])


def features(width: int, seed: int) -> Features:
    random = torch.Generator().manual_seed(seed)

    def tensor(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random)

    return Features(
        tensor(2, 3, width),
        tuple(tensor(2, 3, width) for _ in range(2)),
        tuple(Attention(tensor(2, 2, 3, width), tensor(2, 2, 3, width)) for _ in range(2)),
    )


STUDENT, TEACHER = features(4, 0), features(6, 1)


def test_each_term_sums_over_the_layers_and_takes_its_weight() -> None:
    objective = TransformerObjective(4, 6, embedding=2.0, hidden=3.0, attention=5.0)
    terms = objective(STUDENT, TEACHER, MASK)
    w_e, w_h = objective.embedding_projection, objective.hidden_projection
    expected = {
        "embedding": 2 * masked_mse(w_e(STUDENT.embedding), TEACHER.embedding, MASK),
        "hidden": 3
        * sum(masked_mse(w_h(s), t, MASK) for s, t in zip(STUDENT.hidden_states, TEACHER.hidden_states, strict=True)),
        "attention": 5
        * sum(attention_score_loss(s, t, MASK) for s, t in zip(STUDENT.attention, TEACHER.attention, strict=True)),
    }
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {name: value.item() for name, value in expected.items()}
    )


@pytest.mark.parametrize("left_out", ["embedding", "hidden", "attention"])
def test_a_weight_of_zero_leaves_the_term_out(left_out: str) -> None:
    terms = TransformerObjective(4, 6, **{left_out: 0.0})(STUDENT, TEACHER, MASK)
    assert set(terms) == {"embedding", "hidden", "attention"} - {left_out}


def test_projections_are_two_unless_shared() -> None:
    assert len(list(TransformerObjective(4, 6).parameters())) == 2
    shared = TransformerObjective(4, 6, shared_projection=True)
    assert len(list(shared.parameters())) == 1
    assert shared.embedding_projection is shared.hidden_projection


def test_padding_counts_only_when_asked() -> None:
    objective, counting = TransformerObjective(4, 6), TransformerObjective(4, 6, count_padding=True)
    counting.load_state_dict(objective.state_dict())
    changed = Features(STUDENT.embedding.clone(), STUDENT.hidden_states, STUDENT.attention)
    changed.embedding[0, 2] += 1  # a padded position
    for module, moves in ((objective, False), (counting, True)):
        before, after = (module(s, TEACHER, MASK)["embedding"] for s in (STUDENT, changed))
        assert (not torch.equal(before, after)) == moves
