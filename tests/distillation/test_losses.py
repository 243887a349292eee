"""Every loss against a float64 reference in NumPy that is written differently: loops over real tokens."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.distillation import losses
from pipeline.distillation.features import Attention
from pipeline.distillation.losses import (
    attention_score_loss,
    direct_score_error,
    gram_score_error,
    masked_mse,
    soft_cross_entropy,
)

QUICK = settings(max_examples=25, deadline=None)


@st.composite
def row_lengths(draw: Any) -> list[int]:
    return draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))


def mask_of(lengths: list[int], extra: int = 0) -> torch.Tensor:
    return torch.arange(max(lengths) + extra) < torch.tensor(lengths)[:, None]


def attention(
    seed: int, batch: int, heads: int, length: int, width: int, dtype: torch.dtype = torch.float32
) -> Attention:
    random = torch.Generator().manual_seed(seed)
    shape = (batch, heads, length, width)
    return Attention(*(torch.randn(shape, generator=random, dtype=dtype) for _ in range(2)))


def reference_mse(student: np.ndarray, teacher: np.ndarray, lengths: list[int]) -> float:
    total, count = 0.0, 0
    for row, length in enumerate(lengths):
        for position in range(length):
            for a, b in zip(student[row, position], teacher[row, position], strict=True):
                total += (float(a) - float(b)) ** 2
                count += 1
    return total / count


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
@given(lengths=row_lengths(), extra=st.integers(0, 3), width=st.integers(1, 5), seed=st.integers(0, 99))
def test_masked_mse_is_the_mean_over_real_tokens(lengths: list[int], extra: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = (len(lengths), max(lengths) + extra, width)
    student, teacher = random.normal(size=shape), random.normal(size=shape)
    found = masked_mse(torch.tensor(student), torch.tensor(teacher), mask_of(lengths, extra))
    assert float(found) == pytest.approx(reference_mse(student, teacher, lengths), rel=1e-12)
    everywhere = masked_mse(torch.tensor(student), torch.tensor(teacher), None)
    assert float(everywhere) == pytest.approx(reference_mse(student, teacher, [shape[1]] * len(lengths)), rel=1e-12)


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
        for form in (10**9, 0):  # never the Gram form, always the Gram form
            patch.setattr(losses, "GRAM_FROM_LENGTH", form)
            found = attention_score_loss(student, teacher, mask, count_padding=count_padding)
            assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("length", [losses.GRAM_FROM_LENGTH - 1, losses.GRAM_FROM_LENGTH])
def test_without_padding_it_is_the_mean_squared_error_of_the_scores(length: int) -> None:
    student, teacher = attention(0, 2, 3, length, 4), attention(1, 2, 3, length, 8)
    mask = torch.ones(2, length, dtype=torch.bool)
    scores = [a.query @ a.key.transpose(-1, -2) / a.query.shape[-1] ** 0.5 for a in (student, teacher)]
    expected = torch.nn.functional.mse_loss(*scores)
    assert attention_score_loss(student, teacher, mask) == pytest.approx(float(expected), rel=1e-5)


def test_direct_and_gram_agree_in_float32_with_their_gradients() -> None:
    mask = mask_of([128, 90, 3])
    teacher = attention(1, 3, 4, 128, 64)
    gradients = []
    for form in (direct_score_error, gram_score_error):
        student = Attention(*(x.requires_grad_() for x in attention(0, 3, 4, 128, 26)))
        form(student, teacher, mask, mask).backward()
        gradients.append([student.query.grad, student.key.grad])
    for direct, gram in zip(*gradients, strict=True):
        torch.testing.assert_close(direct, gram, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("form", [0, 10**9])
@pytest.mark.parametrize("count_padding", [False, True])
def test_gradients_of_the_attention_loss(form: int, count_padding: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "GRAM_FROM_LENGTH", form)
    student, teacher = attention(0, 2, 2, 4, 3, torch.float64), attention(1, 2, 2, 4, 5, torch.float64)
    mask = mask_of([2, 4])

    def loss(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return attention_score_loss(Attention(query, key), teacher, mask, count_padding=count_padding)

    assert torch.autograd.gradcheck(loss, tuple(x.requires_grad_() for x in student))


def test_gradients_of_the_other_losses() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2, 4, 3, dtype=torch.float64, generator=random) for _ in range(2))
    a.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: masked_mse(x, b, mask_of([2, 4])), a)
    for mean in (False, True):
        assert torch.autograd.gradcheck(
            lambda x, mean=mean: soft_cross_entropy(x[0], b[0], 2.0, mean_over_classes=mean), a
        )


@QUICK
@given(
    rows=st.integers(1, 5),
    classes=st.integers(1, 6),
    temperature=st.floats(0.25, 8),
    scale=st.sampled_from([1.0, 30.0]),
    seed=st.integers(0, 99),
)
def test_soft_cross_entropy_equals_the_reference(
    rows: int, classes: int, temperature: float, scale: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    student, teacher = (scale * random.normal(size=(rows, classes)) for _ in range(2))
    expected = 0.0
    for s, t in zip(student / temperature, teacher / temperature, strict=True):
        weight = [math.exp(x - max(t)) for x in t]
        log_sum = max(s) + math.log(sum(math.exp(x - max(s)) for x in s))
        expected += sum(w / sum(weight) * (log_sum - x) for w, x in zip(weight, s, strict=True)) / rows
    found = [
        float(soft_cross_entropy(torch.tensor(student), torch.tensor(teacher), temperature, mean_over_classes=mean))
        for mean in (False, True)
    ]
    assert found == pytest.approx([expected, expected / classes], rel=1e-9, abs=1e-12)


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
    hidden = [a.query[:, 0, :, :3] for a in (student, teacher)]
    together_hidden = float(masked_mse(*hidden, mask)) * sum(lengths)
    alone = alone_hidden = 0.0
    for row, n in enumerate(lengths):
        cut = [Attention(*(x[row : row + 1, :, :n] for x in model)) for model in (student, teacher)]
        ones = torch.ones(1, n, dtype=torch.bool)
        alone += float(attention_score_loss(*cut, ones)) * n * n
        alone_hidden += float(masked_mse(*(h[row : row + 1, :n] for h in hidden), ones)) * n
    assert together == pytest.approx(alone, rel=1e-9)
    assert together_hidden == pytest.approx(alone_hidden, rel=1e-9)


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


def test_half_precision_inputs_and_autocast_are_computed_in_float32() -> None:
    mask = mask_of([100, 130])
    student, teacher = attention(0, 2, 2, 130, 16), attention(1, 2, 2, 130, 16)
    expected = attention_score_loss(student, teacher, mask)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attention_score_loss(student, teacher, mask), expected)
    half = [Attention(*(x.bfloat16() for x in model)) for model in (student, teacher)]
    assert attention_score_loss(*half, mask).dtype == torch.float32
    logits = torch.randn(2, 3).bfloat16()
    assert soft_cross_entropy(logits, logits).dtype == torch.float32
    assert masked_mse(logits[None], logits[None], None).dtype == torch.float32


def test_head_counts_that_differ_are_named() -> None:
    mask = mask_of([3])
    with pytest.raises(ValueError, match=r"teacher has 6 attention heads, student 4: choose .* 6 heads"):
        attention_score_loss(attention(0, 1, 4, 3, 2), attention(0, 1, 6, 3, 2), mask)
