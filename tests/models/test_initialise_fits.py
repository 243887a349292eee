"""Each closed form of the cut equals an independent solution in float64."""

import numpy as np
import pytest
import torch

from pipeline.errors import ModelError
from pipeline.models.initialise.attention import (
    most_important_heads,
    root_and_inverse,
    score_factors,
    value_factor,
)
from pipeline.models.initialise.basis import leading_directions, mixing_rotation, principal_basis
from pipeline.models.initialise.feed_forward import largest_units
from pipeline.models.initialise.head import hidden_units
from pipeline.models.initialise.moments import (
    ChannelMoments,
    Moments,
    ResidualMoments,
    fit_residual,
    projection_towards,
    ridge,
)

CPU = torch.device("cpu")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def correlated(tokens: int, width: int, seed: int) -> torch.Tensor:
    """Tokens with a mean and unequal variances."""
    return random(tokens, width, seed=seed) @ random(width, width, seed=seed + 100) + random(width, seed=seed + 200)


def moments_of(x: torch.Tensor, y: torch.Tensor, *, batch: int = 7) -> Moments:
    moments = Moments(x.shape[1], y.shape[1], CPU)
    for start in range(0, len(x), batch):
        moments.add(x[start : start + batch], y[start : start + batch])
    return moments


def test_ridge_is_the_least_squares_of_rows_with_a_penalty() -> None:
    x, y = correlated(50, 6, 0), correlated(50, 4, 1)
    fit = ridge(moments_of(x, y), 0.1)
    centred = x - x.mean(dim=0)
    size = 0.1 * float(centred.square().sum(dim=0).mean())
    # The penalty as six more rows, which ask for weights of zero.
    rows = np.vstack([centred.numpy(), np.sqrt(size) * np.eye(6)])
    wanted = np.vstack([(y - y.mean(dim=0)).numpy(), np.zeros((6, 4))])
    weight, *_ = np.linalg.lstsq(rows, wanted, rcond=None)
    torch.testing.assert_close(fit.weight, torch.from_numpy(weight.T.copy()), atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(x.mean(dim=0) @ fit.weight.T + fit.bias, y.mean(dim=0))


def test_ridge_of_inputs_that_do_not_vary_is_the_mean() -> None:
    y = correlated(20, 3, 1)
    fit = ridge(moments_of(torch.ones(20, 5, dtype=torch.float64), y), 1e-3)
    torch.testing.assert_close(torch.ones(5, dtype=torch.float64) @ fit.weight.T + fit.bias, y.mean(dim=0))


def test_a_norm_is_fitted_as_numpy_fits_each_channel() -> None:
    x, y = correlated(40, 5, 2), correlated(40, 5, 3)
    lines = ChannelMoments(5, CPU)
    for start in range(0, 40, 9):
        lines.add(x[start : start + 9], y[start : start + 9])
    slope, intercept = lines.line()
    error = total = 0.0
    for channel in range(5):
        rows = np.stack([x[:, channel].numpy(), np.ones(40)], axis=1)
        wanted, residual, *_ = np.linalg.lstsq(rows, y[:, channel].numpy(), rcond=None)
        np.testing.assert_allclose([float(slope[channel]), float(intercept[channel])], wanted, rtol=1e-9)
        error, total = error + residual[0], total + 40 * float(y[:, channel].var(correction=0))
    assert lines.unexplained() == pytest.approx(error / total)


def test_a_residual_fit_is_the_minimum_over_scale_weights_and_intercept() -> None:
    x, z = correlated(200, 5, 4), correlated(200, 4, 5)
    t = 0.7 * z + x @ random(5, 4, seed=6) + 0.3 * random(200, 4, seed=7)
    moments = ResidualMoments(5, 4, CPU)
    for rows in torch.arange(200).split(31):
        moments.add_tokens(x[rows], t[rows], z[rows])
    fit = fit_residual(moments, 0.0)
    # One least-squares problem with the scale as a coefficient of its own: rows are (token, channel) pairs.
    flat_z, flat_t = ((part - part.mean(dim=1, keepdim=True)).flatten() for part in (z, t))
    inputs = torch.cat((x, torch.ones(200, 1, dtype=torch.float64)), dim=1)
    rows = torch.cat((flat_z[:, None], torch.kron(inputs, torch.eye(4, dtype=torch.float64))), dim=1)
    solution, *_ = np.linalg.lstsq(rows.numpy(), flat_t.numpy(), rcond=None)
    scale, rest = solution[0], torch.from_numpy(solution[1:]).view(6, 4)
    torch.testing.assert_close(fit.weight, rest[:5].T / scale, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(fit.bias, rest[5] / scale, atol=1e-8, rtol=1e-8)


def test_a_stream_that_would_be_turned_around_is_kept() -> None:
    x, z = correlated(200, 5, 4), correlated(200, 4, 5)
    moments = ResidualMoments(5, 4, CPU)
    moments.add_tokens(x, -z, z)
    fit = fit_residual(moments, 0.0)
    assert torch.isfinite(fit.weight).all()
    centred = z - z.mean(dim=1, keepdim=True)
    wanted = torch.from_numpy(
        np.linalg.lstsq(
            torch.cat((x, torch.ones(200, 1, dtype=torch.float64)), dim=1).numpy(),
            (-1.1 * centred).numpy(),
            rcond=None,
        )[0]
    )
    torch.testing.assert_close(fit.weight, wanted[:5].T / 0.1, atol=1e-8, rtol=1e-8)


def test_a_projection_is_least_squares_and_the_prior_where_nothing_is_known() -> None:
    x, y, prior = correlated(60, 5, 8), correlated(60, 7, 9), random(7, 5, seed=10)
    wanted = np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)[0]
    found = projection_towards(x.T @ x, x.T @ y, prior, 1e-14)
    torch.testing.assert_close(found, torch.from_numpy(wanted.T.copy()), atol=1e-8, rtol=1e-8)
    nothing = projection_towards(torch.zeros(5, 5).double(), torch.zeros(5, 7).double(), prior, 1e-6)
    torch.testing.assert_close(nothing, prior)


@pytest.mark.parametrize("width", [1, 3, 6])
def test_narrower_scores_are_the_best_of_their_rank(width: int) -> None:
    query, key = correlated(70, 6, 11), correlated(70, 6, 12)
    p_query, p_key = score_factors(query.T @ query / 70, key.T @ key / 70, width)
    scores = (query @ p_query.T) @ (key @ p_key.T).T / width**0.5
    left, strengths, right = np.linalg.svd((query @ key.T / 6**0.5).numpy())
    best = (left[:, :width] * strengths[:width]) @ right[:width]
    torch.testing.assert_close(scores, torch.from_numpy(best), atol=1e-9, rtol=1e-9)


def test_a_wider_head_keeps_the_scores() -> None:
    query, key = correlated(70, 6, 11), correlated(70, 6, 12)
    p_query, p_key = score_factors(query.T @ query / 70, key.T @ key / 70, 8)
    assert p_query.shape == p_key.shape == (6, 6)
    torch.testing.assert_close((query @ p_query.T) @ (key @ p_key.T).T / 8**0.5, query @ key.T / 6**0.5)


@pytest.mark.parametrize("width", [1, 3, 6])
def test_narrower_values_keep_the_best_of_what_a_head_writes(width: int) -> None:
    context, output = correlated(70, 6, 13), random(9, 6, seed=14)
    narrow = value_factor(output, context.T @ context / 70, width)
    values = context @ narrow.T
    written = context @ output.T
    kept = values @ torch.linalg.lstsq(values, written).solution
    left, strengths, right = np.linalg.svd(written.numpy(), full_matrices=False)
    best = (left[:, :width] * strengths[:width]) @ right[:width]
    torch.testing.assert_close(kept, torch.from_numpy(best), atol=1e-9, rtol=1e-9)


def test_directions_without_variance_have_no_inverse() -> None:
    x = correlated(30, 3, 15) @ random(3, 5, seed=16)
    root, inverse = root_and_inverse(x.T @ x / 30)
    torch.testing.assert_close(root @ root, x.T @ x / 30)
    torch.testing.assert_close(root @ inverse @ root, root, atol=1e-6, rtol=1e-6)
    assert torch.equal(root_and_inverse(torch.zeros(4, 4).double())[1], torch.zeros(4, 4).double())


def test_heads_and_units_with_the_largest_effect_are_kept_in_order() -> None:
    context, output = correlated(50, 8, 17), random(9, 8, seed=18)
    blocks = [(output[:, 2 * head :][:, :2], context[:, 2 * head :][:, :2]) for head in range(4)]
    effect = [float((ctx @ out.T).var(dim=0, correction=0).sum()) for out, ctx in blocks]
    covariance = torch.stack([torch.cov(ctx.T, correction=0) for _, ctx in blocks])
    kept = most_important_heads(torch.stack([out for out, _ in blocks]), covariance, 2)
    assert kept == sorted(np.argsort(effect)[-2:].tolist())
    assert largest_units(torch.tensor([1.0, 4.0, 2.0]), torch.tensor([[3.0, 1.0, 1.0]]), 2) == [0, 1]
    assert hidden_units(torch.tensor([1.0, 0.0, 2.0]), None, 2) == [0, 2]
    assert hidden_units(torch.tensor([1.0, 1.0, 2.0]), torch.tensor([[1.0, 3.0, 0.5]]), 2) == [0, 1]


def test_a_basis_is_orthonormal_and_its_mean_is_the_least_important_direction() -> None:
    states = {"a": correlated(80, 12, 19), "b": 30 * correlated(80, 12, 20)}
    grams = {name: state.T @ state for name, state in states.items()}
    basis = principal_basis(grams, 5, seed=3)
    torch.testing.assert_close(basis.matrix.T @ basis.matrix, torch.eye(5, dtype=torch.float64))
    common = sum(gram / gram.trace() for gram in grams.values())
    values, vectors = np.linalg.eigh(common.numpy())
    lost = basis.matrix @ torch.full((5,), 5**-0.5, dtype=torch.float64)
    assert abs(float(lost @ torch.from_numpy(vectors[:, -5].copy()))) == pytest.approx(1)
    assert sum(basis.explained.values()) == pytest.approx(values[-5:].sum())
    kept = states["b"] @ basis.matrix
    assert basis.explained["b"] == pytest.approx(float(kept.square().sum() / states["b"].square().sum()))
    # Two states count alike, however large they are.
    louder = principal_basis({"a": grams["a"], "b": 1e4 * grams["b"]}, 5, seed=3)
    torch.testing.assert_close(louder.matrix, basis.matrix, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("width", [1, 2, 7, 32])
def test_the_rotation_is_orthogonal_seeded_and_sends_the_mean_to_the_last(width: int) -> None:
    rotation = mixing_rotation(width, 5)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(width, dtype=torch.float64))
    last = torch.zeros(width, dtype=torch.float64)
    last[-1] = 1
    torch.testing.assert_close(rotation @ torch.full((width,), width**-0.5, dtype=torch.float64), last)
    assert torch.equal(rotation, mixing_rotation(width, 5))
    assert width < 3 or not torch.equal(rotation, mixing_rotation(width, 6))


def test_the_full_width_is_the_identity() -> None:
    state = correlated(80, 12, 19)
    basis = principal_basis({"a": state.T @ state}, 12, seed=3)
    assert torch.equal(basis.matrix, torch.eye(12, dtype=torch.float64))


def test_directions_follow_the_order_of_the_channels() -> None:
    state, order = correlated(80, 12, 19), torch.randperm(12, generator=torch.Generator().manual_seed(1))
    moment = state.T @ state
    torch.testing.assert_close(
        leading_directions(moment[order][:, order], 6), leading_directions(moment, 6)[order], atol=1e-8, rtol=1e-8
    )


def test_a_basis_wider_than_the_states_vary_is_refused() -> None:
    state = random(80, 3, seed=1) @ random(3, 12, seed=2)
    with pytest.raises(ModelError, match=r"4 wide cannot be cut .* vary in 3 directions there: give more text"):
        leading_directions(state.T @ state, 4)
