"""The attention-score loss in both forms against a float64 reference: loops over real tokens."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ragged import QUICK, attention, leaves, mask_of, row_lengths
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.distillation import attention_loss
from pipeline.distillation.attention_loss import Attention, attention_score_loss, score_error, takes_gram

BOTH = pytest.mark.parametrize("gram", [False, True])


def choose(patch: pytest.MonkeyPatch, gram: bool) -> None:
    """Always the Gram form, or never."""
    patch.setattr(attention_loss, "GRAM_FROM", 0 if gram else 10**9)


def reference_attention(student: Attention, teacher: Attention, lengths: list[int], *, count_padding: bool) -> float:
    """Score by score: dot products, one query and one key at a time."""
    batch, heads, width, _ = student.query.shape
    total, count = 0.0, 0
    for row in range(batch):
        for head in range(heads):
            for i in range(width if count_padding else lengths[row]):
                for j in range(width):
                    if j < lengths[row]:
                        scores = [
                            float(
                                np.dot(
                                    model.query[row, head, i].double().numpy(),
                                    model.key[row, head, j].double().numpy(),
                                )
                            )
                            / math.sqrt(model.query.shape[-1])
                            for model in (student, teacher)
                        ]
                        total += (scores[0] - scores[1]) ** 2
                        count += 1
                    elif count_padding:
                        count += 1
    return total / count


@QUICK
@given(
    lengths=row_lengths(),
    extra=st.integers(0, 2),
    heads=st.integers(1, 3),
    widths=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 99),
    count_padding=st.booleans(),
)
def test_attention_score_loss_equals_the_reference_in_both_forms(
    lengths: list[int], extra: int, heads: int, widths: tuple[int, int], seed: int, count_padding: bool
) -> None:
    length = max(lengths) + extra
    student = attention(seed, len(lengths), heads, length, widths[0], torch.float64)
    teacher = attention(seed + 1, len(lengths), heads, length, widths[1], torch.float64)
    mask = mask_of(lengths, extra)
    expected = reference_attention(student, teacher, lengths, count_padding=count_padding)
    with pytest.MonkeyPatch.context() as patch:
        for gram in (False, True):
            choose(patch, gram)
            found = attention_score_loss(student, teacher, mask, count_padding=count_padding)
            assert float(found) == pytest.approx(expected, rel=1e-6)


@BOTH
def test_without_padding_it_is_the_mean_squared_error_of_the_scores(
    gram: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch, gram)
    student, teacher = attention(0, 2, 3, 20, 4), attention(1, 2, 3, 20, 8)
    mask = torch.ones(2, 20, dtype=torch.bool)
    scores = [a.query @ a.key.transpose(-1, -2) / a.query.shape[-1] ** 0.5 for a in (student, teacher)]
    expected = torch.nn.functional.mse_loss(*scores)
    assert float(attention_score_loss(student, teacher, mask)) == pytest.approx(float(expected), rel=1e-5)


@QUICK
@given(length=st.integers(1, 600), widths=st.tuples(st.integers(1, 128), st.integers(1, 128)))
def test_the_gram_form_is_for_long_sequences_of_narrow_heads(length: int, widths: tuple[int, int]) -> None:
    if takes_gram(length, *widths):
        assert takes_gram(length + 1, *widths)
    else:
        assert not takes_gram(length, widths[0] + 1, widths[1])
        assert not takes_gram(length, widths[0], widths[1] + 1)
    assert takes_gram(512, 64, 64)
    assert not takes_gram(32, 26, 64)


def test_the_choice_is_the_form_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher, mask = attention(0, 1, 2, 40, 4), attention(1, 1, 2, 40, 8), mask_of([40])
    for gram in (False, True):
        choose(monkeypatch, gram)
        with Largest() as seen:
            attention_score_loss(student, teacher, mask)
        assert (seen.elements >= 2 * 40 * 40) != gram


@pytest.mark.parametrize("count_padding", [False, True])
def test_direct_and_gram_agree_in_float32_with_their_gradients(count_padding: bool) -> None:
    mask = mask_of([128, 90, 3])
    teacher = attention(1, 3, 4, 128, 64)
    found = []
    for gram in (False, True):
        student = leaves(attention(0, 3, 4, 128, 26))
        value = score_error(student, teacher, mask, count_padding=count_padding, gram=gram)
        value.backward()
        found.append([value.detach(), student.query.grad, student.key.grad])
    for direct, gram_form in zip(*found, strict=True):
        torch.testing.assert_close(direct, gram_form, rtol=1e-4, atol=1e-3)


@BOTH
@pytest.mark.parametrize("count_padding", [False, True])
def test_gradients_of_the_attention_loss(gram: bool, count_padding: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, gram)
    student, teacher = attention(0, 2, 2, 4, 3, torch.float64), attention(1, 2, 2, 4, 5, torch.float64)
    mask = mask_of([2, 4])

    def loss(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return attention_score_loss(Attention(query, key), teacher, mask, count_padding=count_padding)

    assert torch.autograd.gradcheck(loss, tuple(leaves(student)))


@BOTH
@pytest.mark.parametrize("apart", [1.0, 1e-2, 1e-4])
def test_a_student_close_to_its_teacher_keeps_its_gradient(apart: float, gram: bool) -> None:
    """In float32 the value of the Gram form drowns in rounding before its gradient does, and never goes below zero."""
    teacher, step = attention(0, 2, 3, 160, 32), attention(1, 2, 3, 160, 32)
    mask = mask_of([160, 131])
    student = leaves(Attention(*(t + apart * s for t, s in zip(teacher, step, strict=True))))
    exact = leaves(Attention(*(x.double() for x in student)))
    value = score_error(student, teacher, mask, gram=gram)
    expected = score_error(exact, Attention(*(x.double() for x in teacher)), mask, gram=False)
    value.backward()
    expected.backward()
    assert value >= 0
    size = score_error(Attention(*(0 * x for x in exact)), Attention(*(x.double() for x in teacher)), mask, gram=False)
    distance = max(1.0, (size / expected).item() ** 0.5)  # ||T|| / ||S - T||
    assert value.item() == pytest.approx(expected.item(), rel=1e-6 * distance**2 if gram else 1e-5)
    for found, true in ((student.query.grad, exact.query.grad), (student.key.grad, exact.key.grad)):
        assert found is not None
        assert true is not None
        assert (found - true).norm() / true.norm() < 2e-6 * distance


def test_the_value_is_not_negative_when_student_and_teacher_are_one() -> None:
    mask, other = mask_of([200, 150]), attention(99, 2, 3, 200, 16)
    for seed in range(5):
        model = attention(seed, 2, 3, 200, 16)
        student = leaves(model)
        value = score_error(student, model, mask, gram=True)
        value.backward()
        assert 0 <= value.item() < 1e-5 * score_error(student, other, mask, gram=True).item()
        assert student.query.grad is not None
        assert student.query.grad.isfinite().all()


@QUICK
@given(length=st.integers(1, 6), others=st.lists(st.integers(1, 12), max_size=3), seed=st.integers(0, 99))
def test_a_row_adds_the_same_whatever_it_is_batched_with(length: int, others: list[int], seed: int) -> None:
    """The sums over a batch are the sums over its rows alone; what lies in the padding is never seen."""
    lengths = [length, *others]
    width = max(lengths)
    student = attention(seed, len(lengths), 2, width, 3, torch.float64)
    teacher = attention(seed + 1, len(lengths), 2, width, 5, torch.float64)
    mask = mask_of(lengths)
    together = float(attention_score_loss(student, teacher, mask)) * sum(n * n for n in lengths)
    alone = 0.0
    for row, n in enumerate(lengths):
        cut = [Attention(*(x[row : row + 1, :, :n] for x in model)) for model in (student, teacher)]
        ones = torch.ones(1, n, dtype=torch.bool)
        alone += float(attention_score_loss(*cut, ones)) * n * n
    assert together == pytest.approx(alone, rel=1e-9)


@QUICK
@given(
    lengths=row_lengths(),
    others=row_lengths(),
    extra=st.integers(0, 2),
    widths=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 99),
    gram=st.booleans(),
)
def test_parts_of_a_batch_add_up_to_it_with_their_gradients(
    lengths: list[int], others: list[int], extra: int, widths: tuple[int, int], seed: int, gram: bool
) -> None:
    every = [*lengths, *others]
    mask = mask_of(every, extra)
    student, teacher = (
        attention(seed + i, len(every), 2, mask.shape[1], width, torch.float64) for i, width in enumerate(widths)
    )
    whole = leaves(student)
    with pytest.MonkeyPatch.context() as patch:
        choose(patch, gram)
        expected = attention_score_loss(whole, teacher, mask)
        expected.backward()
        total = 0.0
        for part, rows in ((slice(0, len(lengths)), lengths), (slice(len(lengths), None), others)):
            n = max(rows)  # each part is padded to its own longest row
            own = leaves(Attention(*(x[part, :, :n] for x in student)))
            cut = Attention(*(x[part, :, :n] for x in teacher))
            value = attention_score_loss(own, cut, mask[part, :n], count=sum(n * n for n in every))
            value.backward()
            total += value.item()
            for found, true in zip(own, whole, strict=True):
                assert found.grad is not None
                assert true.grad is not None
                torch.testing.assert_close(found.grad, true.grad[part, :, :n], rtol=1e-10, atol=1e-12)
    assert total == pytest.approx(expected.item(), rel=1e-10)


def test_count_padding_sees_padded_queries_but_no_padded_keys() -> None:
    student, teacher = attention(0, 1, 1, 4, 3), attention(1, 1, 1, 4, 3)
    mask = mask_of([2], extra=2)

    def loss(changed: Attention) -> float:
        return float(attention_score_loss(changed, teacher, mask, count_padding=True))

    query, key = student.query.clone(), student.key.clone()
    query[0, 0, 3] += 1
    key[0, 0, 3] += 1
    assert loss(Attention(query, student.key)) != pytest.approx(loss(student))
    assert loss(Attention(student.query, key)) == loss(student)


@BOTH
def test_half_precision_inputs_and_autocast_are_computed_in_float32(
    gram: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch, gram)
    mask = mask_of([100, 130])
    half, teacher = (Attention(*(x.bfloat16() for x in attention(i, 2, 2, 130, 16))) for i in (0, 1))
    student, exact = leaves(half), leaves(Attention(*(x.float() for x in half)))
    expected = attention_score_loss(exact, Attention(*(x.float() for x in teacher)), mask)
    expected.backward()
    with torch.autocast("cpu", torch.bfloat16):
        value = attention_score_loss(student, teacher, mask)
        value.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    for found, true in zip(student, exact, strict=True):
        assert found.grad is not None
        assert true.grad is not None
        assert torch.equal(found.grad, true.grad.bfloat16())


@BOTH
def test_the_layout_of_queries_and_keys_does_not_matter(gram: bool) -> None:
    mask = mask_of([9, 4])
    views = [attention(i, 2, 3, 9, width) for i, width in enumerate((4, 6))]
    packed = [Attention(*(x.contiguous() for x in model)) for model in views]
    assert not views[0].query.is_contiguous()
    assert torch.equal(score_error(*views, mask, gram=gram), score_error(*packed, mask, gram=gram))


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for tensor in output if isinstance(output, tuple | list) else (output,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.untyped_storage().nbytes() // 4)
        return output


def test_at_length_512_nothing_as_large_as_a_score_matrix_is_made() -> None:
    """For each head of each row: nothing of 512 x 512 elements, forward or backward."""
    rows, heads, length = 2, 3, 512
    teacher, mask = attention(1, rows, heads, length, 64), mask_of([length, 400])
    largest = []
    for gram in (takes_gram(length, 26, 64), False):
        student = leaves(attention(0, rows, heads, length, 26))
        with Largest() as seen:
            score_error(student, teacher, mask, gram=gram).backward()
        largest.append(seen.elements / (rows * heads))
    assert largest[0] <= length * (26 + 64)
    assert largest[1] == length * length


@pytest.mark.slow
@BOTH
def test_it_compiles_into_one_graph(gram: bool) -> None:
    torch.compiler.reset()
    compiled = torch.compile(score_error, fullgraph=True, backend="aot_eager")
    teacher, mask = attention(1, 2, 3, 9, 6), mask_of([9, 4])
    found = []
    for form in (score_error, compiled):
        student = leaves(attention(0, 2, 3, 9, 4))
        value = form(student, teacher, mask, gram=gram)
        value.backward()
        found.append([value.detach(), student.query.grad, student.key.grad])
    for plain, fast in zip(*found, strict=True):
        torch.testing.assert_close(plain, fast)


def test_head_counts_that_differ_are_named() -> None:
    mask = mask_of([3])
    with pytest.raises(ValueError, match=r"teacher has 6 attention heads, student 4: choose .* 6 heads"):
        attention_score_loss(attention(0, 1, 4, 3, 2), attention(0, 1, 6, 3, 2), mask)


@pytest.mark.parametrize("count_padding", [False, True])
@pytest.mark.parametrize("window", [0, 2, 30])
def test_scores_outside_the_window_of_local_attention_are_not_compared(window: int, count_padding: bool) -> None:
    student, teacher = attention(1, 3, 2, 9, 4), attention(2, 3, 2, 9, 6)
    mask = mask_of([9, 5, 1])
    scores = [query @ key.mT / query.shape[-1] ** 0.5 for query, key in (student, teacher)]
    places = torch.arange(9)
    near = ((places[:, None] - places).abs() <= window).expand(3, 9, 9)
    queries = torch.ones_like(mask) if count_padding else mask
    compared = queries[:, :, None] & mask[:, None, :] & near
    error = ((scores[0] - scores[1]).square() * compared[:, None]).sum()
    expected = error / (2 * (near if count_padding else compared).sum())
    found = attention_score_loss(student, teacher, mask, window=window, count_padding=count_padding)
    torch.testing.assert_close(found, expected)

    given = leaves(student)
    attention_score_loss(given, teacher, mask, window=window, count_padding=count_padding).backward()
    reference = leaves(student)
    difference = reference.query @ reference.key.mT / 2 - scores[1]
    ((difference.square() * compared[:, None]).sum() / (2 * (near if count_padding else compared).sum())).backward()
    torch.testing.assert_close(given.query.grad, reference.query.grad)
    torch.testing.assert_close(given.key.grad, reference.key.grad)
