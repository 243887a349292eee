"""Named terms add up to what the formulas say, written out here in float64 and without any of the project's losses."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from pipeline.distillation.objective import Objective, Part
from pipeline.distillation.terms.attention import AttentionTerm
from pipeline.distillation.terms.hidden import HiddenTerm
from pipeline.distillation.terms.response import HardTerm, SoftTerm
from pipeline.features import EMBEDDING, IGNORED, MASKED_WORDS, OUTPUT, Moment, Seen, Tap

MASK = torch.tensor([[True, True, False], [True, True, True]])
LINKS = [(1, 2), (2, 4)]


def shown(width: int, layers: tuple[int, ...], seed: int) -> dict[Tap, Tensor]:
    random = torch.Generator().manual_seed(seed)
    seen = {EMBEDDING: torch.randn(2, 3, width, generator=random)}
    for layer in layers:
        seen[Tap("hidden", layer)] = torch.randn(2, 3, width, generator=random)
        for what in ("query", "key"):
            seen[Tap(what, layer)] = torch.randn(2, 2, 3, width, generator=random)
    return seen


STUDENT, TEACHER = shown(4, (1, 2), 0), shown(6, (2, 4), 1)


def objective(*, count_padding: bool = False, weights: tuple[float, float, float] = (2.0, 3.0, 5.0)) -> Objective:
    torch.manual_seed(0)
    w_e, w_h = nn.Linear(4, 6, bias=False), nn.Linear(4, 6, bias=False)
    terms = {
        "embedding": HiddenTerm([(0, 0)], w_e, count_padding=count_padding),
        "hidden": HiddenTerm(LINKS, w_h, count_padding=count_padding),
        "attention": AttentionTerm(LINKS, count_padding=count_padding),
    }
    return Objective(
        [Part(name, term, weight, "teacher") for (name, term), weight in zip(terms.items(), weights, strict=True)]
    )


def loss(module: Objective, student: Seen, teacher: Seen, mask: Tensor, moment: Moment = Moment()) -> dict[str, Tensor]:  # noqa: B008
    return module(student, {"teacher": teacher}, {"attention_mask": mask}, moment)


def by_hand(module: Objective) -> dict[str, float]:
    """Equations 7 to 9, token by token, in float64."""
    w_e, w_h = (module.terms[name].projection.weight.double() for name in ("embedding", "hidden"))
    tokens = [(row, place) for row in range(2) for place in range(3) if MASK[row, place]]

    def states(weight: Tensor, own: Tap, other: Tap) -> float:
        errors = [
            (weight @ STUDENT[own][row, place].double() - TEACHER[other][row, place].double()).square().sum()
            for row, place in tokens
        ]
        return sum(error.item() for error in errors) / (len(tokens) * 6)

    def scores(own: int, other: int) -> float:
        total, pairs = 0.0, 0
        for row in range(2):
            real = [place for place in range(3) if MASK[row, place]]
            pairs += len(real) ** 2
            for head in range(2):
                for i in real:
                    for j in real:
                        values = [
                            float(
                                seen[Tap("query", layer)][row, head, i].double()
                                @ seen[Tap("key", layer)][row, head, j].double()
                            )
                            / seen[Tap("key", layer)].shape[-1] ** 0.5
                            for seen, layer in ((STUDENT, own), (TEACHER, other))
                        ]
                        total += (values[0] - values[1]) ** 2
        return total / (2 * pairs)

    return {
        "embedding": 2 * states(w_e, EMBEDDING, EMBEDDING),
        "hidden": 3 * sum(states(w_h, Tap("hidden", own), Tap("hidden", other)) for own, other in LINKS),
        "attention": 5 * sum(scores(own, other) for own, other in LINKS),
    }


def test_each_term_sums_over_the_layers_and_takes_its_weight() -> None:
    module = objective()
    found = {name: value.item() for name, value in loss(module, STUDENT, TEACHER, MASK).items()}
    assert found == pytest.approx(by_hand(module), rel=1e-5)


def test_an_objective_reads_what_its_terms_read_and_no_more() -> None:
    module = objective()
    assert set(module.student_taps) == set(STUDENT)
    assert set(module.guide_taps("teacher")) == set(TEACHER)
    assert module.guide_taps("another") == ()
    assert objective().guide_taps("teacher") == tuple(sorted(TEACHER))
    assert Objective([Part("labels", HardTerm("classes"))]).student_taps == (OUTPUT,)


def test_padding_counts_only_when_asked() -> None:
    plain, counting = objective(), objective(count_padding=True)
    changed = {tap: tensor.clone() for tap, tensor in STUDENT.items()}
    changed[EMBEDDING][0, 2] += 1  # a padded position
    for module, moves in ((plain, False), (counting, True)):
        before, after = (loss(module, seen, TEACHER, MASK)["embedding"] for seen in (STUDENT, changed))
        assert (not torch.equal(before, after)) == moves


@pytest.mark.parametrize("count_padding", [False, True])
def test_parts_of_a_step_add_up_to_it_with_their_gradients(count_padding: bool) -> None:
    """With the counts of the whole step, accumulated parts train the projections as one large batch does."""
    module = objective(count_padding=count_padding)
    whole = loss(module, STUDENT, TEACHER, MASK)
    sum(whole.values()).backward()
    expected = [parameter.grad.clone() for parameter in module.parameters()]
    module.zero_grad()
    counts = {"tokens": 5, "pairs": 2**2 + 3**2, "positions": 6, "position_pairs": 2 * 3**2}
    total = dict.fromkeys(whole, 0.0)
    for row, length in ((0, 3 if count_padding else 2), (1, 3)):  # padding that does not count is cut off
        parts = (part(seen, row, length) for seen in (STUDENT, TEACHER))
        terms = loss(module, *parts, MASK[row : row + 1, :length], Moment(counts))
        sum(terms.values()).backward()
        total = {name: total[name] + term.item() for name, term in terms.items()}
    assert total == pytest.approx({name: term.item() for name, term in whole.items()}, rel=1e-5)
    for parameter, grad in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, grad)


def part(seen: Seen, row: int, length: int) -> dict[Tap, Tensor]:
    one = slice(row, row + 1)
    return {
        tap: tensor[one, :, :length] if tap.what in ("query", "key") else tensor[one, :length]
        for tap, tensor in seen.items()
    }


def test_answers_are_compared_with_labels_and_with_the_guide() -> None:
    """Hard and soft targets in one objective, each row's cross-entropy written out in float64."""
    own = torch.tensor([[0.3, -1.0, 2.0], [1.5, 0.2, -0.7]])
    wanted = torch.tensor([[1.0, 0.5, 0.0], [-0.3, 2.0, 0.1]])
    labels = torch.tensor([2, 0])
    terms = Objective(
        [Part("hard", HardTerm("classes"), 0.1), Part("soft", SoftTerm("classes", temperature=4.0), 0.9, "teacher")]
    )
    found = terms({OUTPUT: own}, {"teacher": {OUTPUT: wanted}}, {"labels": labels}, Moment())
    hard, soft = 0.0, 0.0
    for row in range(2):
        logs = own[row].double() - own[row].double().exp().sum().log()
        hard -= float(logs[labels[row]])
        cool, other = own[row].double() / 4, wanted[row].double() / 4
        target = other.exp() / other.exp().sum()
        soft -= float((target * (cool - cool.exp().sum().log())).sum())
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {"hard": 0.1 * hard / 2, "soft": 0.9 * soft / 2}, rel=1e-5
    )


def test_masked_words_are_the_mean_over_the_positions_of_the_step() -> None:
    labels = torch.tensor([[IGNORED, 1, IGNORED], [0, IGNORED, 2]])
    logits = torch.tensor([[0.1, 0.9, 0.2], [1.0, 0.0, 0.3], [0.5, 0.5, 0.5]])  # of the three masked positions
    by_position = [-logits[i].double().log_softmax(-1)[word] for i, word in enumerate((1, 0, 2))]
    seen, batch = {MASKED_WORDS: logits}, {"labels": labels}
    term = HardTerm("masked_words")
    assert term(seen, {}, batch, Moment()).item() == pytest.approx(float(sum(by_position)) / 3)
    counts: Mapping[str, float] = {"predicted": 12}
    assert term(seen, {}, batch, Moment(counts)).item() == pytest.approx(float(sum(by_position)) / 12)


def test_a_guide_s_masked_words_are_a_soft_target_as_its_classes_are() -> None:
    own, wanted = torch.tensor([[0.1, 0.9, 0.2], [1.0, 0.0, 0.3]]), torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.5, 0.0]])
    loss = SoftTerm("masked_words", temperature=2.0)({MASKED_WORDS: own}, {MASKED_WORDS: wanted}, {}, Moment())
    target = (wanted.double() / 2).softmax(-1)
    by_position = -(target * (own.double() / 2).log_softmax(-1)).sum(-1)
    assert loss.item() == pytest.approx(float(by_position.mean()))
    counts: Mapping[str, float] = {"predicted": 8, "rows": 3}
    part = SoftTerm("masked_words", temperature=2.0)({MASKED_WORDS: own}, {MASKED_WORDS: wanted}, {}, Moment(counts))
    assert part.item() == pytest.approx(float(by_position.sum()) / 8)
