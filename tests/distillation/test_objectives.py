import pytest
import torch
from pipeline.distillation.features import Attention, Features
from pipeline.distillation.objectives import TransformerObjective

from pipeline.distillation.losses import attention_score_loss, masked_mse

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


@pytest.mark.parametrize("count_padding", [False, True])
def test_parts_of_a_step_add_up_to_it_with_their_gradients(count_padding: bool) -> None:
    """With the counts of the whole step, accumulated parts train the projections as one large batch does."""
    objective = TransformerObjective(4, 6, attention=2.0, count_padding=count_padding)
    whole_terms = objective(STUDENT, TEACHER, MASK)
    sum(whole_terms.values()).backward()
    expected = [parameter.grad.clone() for parameter in objective.parameters()]
    objective.zero_grad()
    counts = {"tokens": 5, "pairs": 2**2 + 3**2, "positions": 6, "position_pairs": 2 * 3**2}
    total = dict.fromkeys(whole_terms, 0.0)
    for row, length in ((0, 3 if count_padding else 2), (1, 3)):  # padding that does not count is cut off
        parts = (part(model, row, length) for model in (STUDENT, TEACHER))
        terms = objective(*parts, MASK[row : row + 1, :length], counts)
        sum(terms.values()).backward()
        total = {name: total[name] + term.item() for name, term in terms.items()}
    assert total == pytest.approx({name: term.item() for name, term in whole_terms.items()}, rel=1e-5)
    for parameter, grad in zip(objective.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, grad)


def part(model: Features, row: int, length: int) -> Features:
    one = slice(row, row + 1)
    return Features(
        model.embedding[one, :length],
        tuple(hidden[one, :length] for hidden in model.hidden_states),
        tuple(Attention(*(x[one, :, :length] for x in pair)) for pair in model.attention),
    )
