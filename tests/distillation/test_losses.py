"""Every loss against a float64 reference in NumPy that is written differently: loops over real tokens."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ragged import QUICK, mask_of, row_lengths

from pipeline.distillation.losses import masked_mse, soft_cross_entropy


def reference_mse(student: np.ndarray, teacher: np.ndarray, lengths: list[int]) -> float:
    total, count = 0.0, 0
    for row, length in enumerate(lengths):
        for position in range(length):
            for a, b in zip(student[row, position], teacher[row, position], strict=True):
                total += (float(a) - float(b)) ** 2
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
@given(rows=st.integers(1, 6), classes=st.integers(1, 4), cut=st.integers(0, 6), mean=st.booleans())
def test_parts_of_a_batch_add_up_to_its_soft_cross_entropy(rows: int, classes: int, cut: int, mean: bool) -> None:
    random = torch.Generator().manual_seed(rows + classes)
    student, teacher = (torch.randn(rows, classes, dtype=torch.float64, generator=random) for _ in range(2))
    parts = [
        soft_cross_entropy(student[part], teacher[part], 2.0, mean_over_classes=mean, count=rows)
        for part in (slice(0, cut), slice(cut, None))
    ]
    whole = soft_cross_entropy(student, teacher, 2.0, mean_over_classes=mean)
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-12, abs=1e-14)


@QUICK
@given(
    lengths=row_lengths(),
    others=row_lengths(),
    extra=st.integers(0, 2),
    width=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_parts_of_a_batch_add_up_to_its_masked_mse(
    lengths: list[int], others: list[int], extra: int, width: int, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    every = [*lengths, *others]
    mask = mask_of(every, extra)
    student, teacher = (torch.randn(*mask.shape, width, dtype=torch.float64, generator=random) for _ in range(2))
    whole, whole_grad = value_and_grad(student, teacher, mask, None)
    total, grads = 0.0, []
    for part, rows in ((slice(0, len(lengths)), lengths), (slice(len(lengths), None), others)):
        n = max(rows)  # each part is padded to its own longest row
        value, grad = value_and_grad(student[part, :n], teacher[part, :n], mask[part, :n], sum(every))
        total += value
        grads.append(torch.nn.functional.pad(grad, (0, 0, 0, mask.shape[1] - n)))
    assert total == pytest.approx(whole, rel=1e-12)
    torch.testing.assert_close(torch.cat(grads), whole_grad, rtol=1e-12, atol=1e-14)


def value_and_grad(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, count: float | None
) -> tuple[float, torch.Tensor]:
    leaf = student.clone().requires_grad_()
    value = masked_mse(leaf, teacher, mask, count=count)
    value.backward()
    assert leaf.grad is not None
    return value.item(), leaf.grad


@pytest.mark.parametrize("padded", [False, True])
def test_masked_mse_and_its_gradient_are_those_of_the_plain_formula_to_the_last_bit(padded: bool) -> None:
    random = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(3, 40, 33, generator=random) for _ in range(2))
    mask = mask_of([40, 21, 3]) if padded else None
    found, plain = student.clone().requires_grad_(), student.clone().requires_grad_()
    squared = (plain - teacher).square()
    expected = squared.mean() if mask is None else (squared * mask.unsqueeze(-1)).sum() / (mask.sum() * 33)
    value = masked_mse(found, teacher, mask)
    (value * 3).backward()
    (expected * 3).backward()
    assert torch.equal(value, expected)
    assert found.grad is not None
    assert plain.grad is not None
    assert torch.equal(found.grad, plain.grad)


def test_half_precision_is_computed_in_float32() -> None:
    random = torch.Generator().manual_seed(0)
    half = torch.randn(2, 3, generator=random).bfloat16()
    assert soft_cross_entropy(half, half).dtype == torch.float32
    student = torch.randn(1, 2, 3, generator=random).bfloat16().requires_grad_()
    value = masked_mse(student, half[None].float(), None)
    assert torch.equal(value, masked_mse(student.detach().float(), half[None], None))
    value.backward()
    assert student.grad is not None
    assert student.grad.dtype == torch.bfloat16
