"""Least squares from second moments, which are added up batch by batch: no activations are kept.

All sums and all solutions are float64, whatever precision the models run in.
"""

from typing import NamedTuple

import torch
from torch import Tensor

SMALLEST_PENALTY = 1e-12  # keeps a solution defined where the inputs do not vary at all


class Affine(NamedTuple):
    """A linear map with intercept: y = x W^T + b.

    Attributes:
        weight: W, (outputs, inputs), float64.
        bias: b, (outputs,), float64.
    """

    weight: Tensor
    bias: Tensor


class Moments:
    """Sums over tokens of inputs x and targets y: as much as any linear fit of y on x needs.

    Args:
        inputs: width of x.
        targets: width of y.
        device: where the sums are kept.

    Attributes:
        count: tokens added.
        x_sum, y_sum: (inputs,), (targets,).
        xx: sum of x^T x, (inputs, inputs).
        xy: sum of x^T y, (inputs, targets).
    """

    def __init__(self, inputs: int, targets: int, device: torch.device) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        self.count = 0
        self.x_sum, self.y_sum = zeros(inputs), zeros(targets)
        self.xx, self.xy = zeros(inputs, inputs), zeros(inputs, targets)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add some tokens: x (tokens, inputs), y (tokens, targets)."""
        x, y = x.double(), y.double()
        self.count += len(x)
        self.x_sum += x.sum(dim=0)
        self.y_sum += y.sum(dim=0)
        self.xx.addmm_(x.T, x)
        self.xy.addmm_(x.T, y)

    def centred(self) -> tuple[Tensor, Tensor]:
        """The sums xx and xy about the means of x and y."""
        mean = self.x_sum / max(1, self.count)
        return self.xx - torch.outer(mean, self.x_sum), self.xy - torch.outer(mean, self.y_sum)


def penalised(gram: Tensor, penalty: float) -> Tensor:
    """A Gram matrix (p, p) plus ``penalty`` times its mean diagonal element on the diagonal."""
    size = max(float(gram.diagonal().mean()) * penalty, SMALLEST_PENALTY)
    return gram + size * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)


def ridge(moments: Moments, penalty: float) -> Affine:
    """Ridge regression of y on x with an intercept that is not penalised.

    Minimises ||Y - X W^T - b||^2 + lambda ||W||^2, lambda = ``penalty`` times the mean diagonal element of the centred
    Gram matrix of x.

    Args:
        moments: of inputs and targets.
        penalty: dimensionless, at least 0.
    """
    xx, xy = moments.centred()
    weight = torch.linalg.solve(penalised(xx, penalty), xy).T
    count = max(1, moments.count)
    return Affine(weight, moments.y_sum / count - weight @ (moments.x_sum / count))


def projection_towards(xx: Tensor, xy: Tensor, prior: Tensor, penalty: float) -> Tensor:
    """Least squares without intercept, shrunk towards a prior instead of towards zero.

    Minimises ||Y - X W^T||^2 + lambda ||W - prior||^2, lambda as in ``ridge`` but about zero: where x says nothing of
    a direction, the prior stays.

    Args:
        xx: sum of x^T x, (inputs, inputs).
        xy: sum of x^T y, (inputs, targets).
        prior: (targets, inputs).
        penalty: dimensionless, above 0.

    Returns:
        W, (targets, inputs), float64.
    """
    prior = prior.double()
    return prior + torch.linalg.solve(penalised(xx, penalty), xy - xx @ prior.T).T


class ResidualMoments(Moments):
    """Moments for a sub-layer whose output is added to its input: targets are [t, z], inputs x.

    The mean over channels is taken out of t and z, since the LayerNorm that follows takes it out of their sum.

    Args:
        inputs: width of x, what the sub-layer's last linear layer reads.
        width: of the residual stream, of t and of z.
        device: where the sums are kept.
    """

    def __init__(self, inputs: int, width: int, device: torch.device) -> None:
        super().__init__(inputs, 2 * width, device)
        self.width = width
        self.tz = torch.zeros((), dtype=torch.float64, device=device)
        self.zz = torch.zeros((), dtype=torch.float64, device=device)

    def add_tokens(self, x: Tensor, target: Tensor, stream: Tensor) -> None:
        """Add some tokens.

        Args:
            x: (tokens, inputs).
            target: what the sub-layer should give after its LayerNorm, (tokens, width).
            stream: what the sub-layer reads and is added to, (tokens, width).
        """
        t, z = (part.double() - part.double().mean(dim=-1, keepdim=True) for part in (target, stream))
        self.tz += (t * z).sum()
        self.zz += (z * z).sum()
        self.add(x, torch.cat((t, z), dim=-1))


def fit_residual(moments: ResidualMoments, penalty: float, smallest: float = 0.1) -> Affine:
    """The last linear layer of a sub-layer, so that LayerNorm(z + W x + c) is close to a target t.

    Finds a scalar s and V, v that minimise ||t - s z - V x - v||^2 + lambda ||V||^2 and returns W = V / s, c = v / s:
    the LayerNorm is blind to the factor s.

    Args:
        moments: of the sub-layer.
        penalty: of V, see ``ridge``.
        smallest: lower bound of s; a stream that is turned around cannot be expressed.
    """
    xx, xy = moments.centred()
    solved = torch.linalg.solve(penalised(xx, penalty), xy)
    cross = xy.T @ solved  # what x explains of the inner products of [t, z]
    count, width = max(1, moments.count), moments.width
    t_mean, z_mean = moments.y_sum[:width] / count, moments.y_sum[width:] / count
    tz = moments.tz - count * (t_mean @ z_mean) - cross[:width, width:].trace()
    zz = moments.zz - count * (z_mean @ z_mean) - cross[width:, width:].trace()
    scale = max(float(tz / zz), smallest) if zz > 0 else 1.0
    weight = (solved[:, :width] - scale * solved[:, width:]).T
    bias = t_mean - scale * z_mean - weight @ (moments.x_sum / count)
    return Affine(weight / scale, bias / scale)


class ChannelMoments:
    """Sums over tokens for one regression line a channel.

    Args:
        width: channels.
        device: where the sums are kept.
    """

    def __init__(self, width: int, device: torch.device) -> None:
        self.count = 0
        self._sums = torch.zeros(5, width, dtype=torch.float64, device=device)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add some tokens: x and y (tokens, width)."""
        x, y = x.double(), y.double()
        self.count += len(x)
        self._sums += torch.stack([part.sum(dim=0) for part in (x, y, x * x, x * y, y * y)])

    def line(self) -> tuple[Tensor, Tensor]:
        """Slope and intercept of each channel, (width,) each; a channel that does not vary gets slope 0."""
        x, y, xx, xy, _ = self._sums / max(1, self.count)
        variance = xx - x * x
        slope = torch.where(variance > SMALLEST_PENALTY, (xy - x * y) / variance.clamp_min(SMALLEST_PENALTY), 0)
        return slope, y - slope * x

    def unexplained(self) -> float:
        """Share of the variance of y, all channels together, that the lines do not explain; 0 to 1."""
        x, y, _, xy, yy = self._sums / max(1, self.count)
        slope, _ = self.line()
        total = float((yy - y * y).sum())
        explained = float((slope * (xy - x * y)).sum())
        return max(0.0, 1 - explained / total) if total > 0 else 0.0
