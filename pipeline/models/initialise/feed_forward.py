"""A narrower feed-forward sub-layer: the units with the largest effect, fitted to the student's states."""

import torch
from torch import Tensor

from pipeline.models.initialise.moments import Affine, Moments, ResidualMoments, fit_residual, ridge
from pipeline.models.initialise.post_norm import Layer, after_feed_forward, copy_linear, copy_norm
from pipeline.models.initialise.states import States, fit_norm


def largest_units(energy: Tensor, output: Tensor, count: int) -> list[int]:
    """The units with the largest E[act(u_j)^2] ||B^T W_2[:, j]||^2, in the teacher's order.

    Args:
        energy: E[act(u_j)^2] of each unit, (units,).
        output: B^T W_2, (n, units).
        count: units to keep.
    """
    order = torch.sort(energy * output.square().sum(dim=0), descending=True, stable=True).indices
    return sorted(int(unit) for unit in order[:count])


def fit_feed_forward(
    teacher: Layer, student: Layer, states: States, basis: Tensor, *, penalty: float, same_input: bool
) -> float:
    """Fit a feed-forward sub-layer, and move teacher and student behind it.

    Args:
        teacher: the layer that is imitated.
        student: the layer that is written.
        states: what both feed-forward sub-layers read; afterwards what they give.
        basis: B, (d, n), float64.
        penalty: of the ridge regressions.
        same_input: both models read the same states, so the teacher's own weights need no fit.

    Returns:
        Share of the variance of the teacher's output, in the basis, that is not explained; 0 to 1.
    """
    units = teacher.up.out_features
    moments = Moments(basis.shape[1], units, states.device)
    energy = torch.zeros(units, dtype=torch.float64, device=states.device)
    for mask, a, z in states.batches():
        before = teacher.up(a[mask])
        moments.add(z[mask], before)
        energy += teacher.activation(before).double().square().sum(dim=0)
    kept = largest_units(energy / moments.count, basis.T @ teacher.down.weight.double(), student.up.out_features)
    fit = Affine(teacher.up.weight, teacher.up.bias) if same_input else ridge(moments, penalty)
    copy_linear(student.up, fit.weight[kept], fit.bias[kept])
    del moments
    states.advance_teacher(lambda a, _: after_feed_forward(teacher, a))
    residual = ResidualMoments(student.down.in_features, basis.shape[1], states.device)
    for mask, target, z in states.batches():
        tokens = z[mask]
        residual.add_tokens(student.activation(student.up(tokens)), target[mask].double() @ basis, tokens)
    copy_linear(student.down, *fit_residual(residual, penalty))
    copy_norm(student.output_norm, 1.0, 0.0)
    states.advance_student(lambda a, _: after_feed_forward(student, a))
    return fit_norm(student.output_norm, states, basis)
