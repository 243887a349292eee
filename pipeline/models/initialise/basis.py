"""The basis of the residual stream: which directions of the teacher's states the student's channels are.

One basis B (d x n, orthonormal columns) serves all depths, since a residual connection adds states of one depth to
states of the next. B = U Q: U are the leading principal directions of the teacher's states, Q a rotation among them.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.errors import ModelError

# Principal directions with less energy than this, relative to the first, are rounding of float32 states.
SMALLEST_ENERGY = 1e-11


class Basis(NamedTuple):
    """The basis and how much of each state it keeps.

    Attributes:
        matrix: B, (d, n), float64.
        explained: share of each state's energy (sum of squares) inside the basis, by the state's name.
    """

    matrix: Tensor
    explained: Mapping[str, float]


def principal_basis(grams: Mapping[str, Tensor], width: int, seed: int) -> Basis:
    """The best common basis of some states, each counted with the same weight.

    C = sum over states X of X^T X / tr(X^T X), not centred, since what is compared later is projected without a bias.

    Args:
        grams: X^T X of each state, (d, d), float64, by the state's name.
        width: n, columns of the basis; d gives the identity.
        seed: of the rotation.

    Raises:
        ModelError: the states vary in fewer than ``width`` directions.
    """
    shares = {name: gram / gram.trace() for name, gram in grams.items()}
    first = next(iter(shares.values()))
    if width == len(first):
        return Basis(torch.eye(width, dtype=first.dtype, device=first.device), dict.fromkeys(shares, 1.0))
    directions = leading_directions(torch.stack(list(shares.values())).sum(dim=0), width)
    matrix = directions @ mixing_rotation(width, seed).to(directions)
    explained = {name: float((matrix * (share @ matrix)).sum()) for name, share in shares.items()}
    return Basis(matrix, explained)


def leading_directions(moment: Tensor, width: int) -> Tensor:
    """The eigenvectors of a second moment (d, d) with the largest eigenvalues, (d, width), largest first.

    Their signs are chosen so that the sum of cubes of the entries is positive: then they depend on the order of the
    channels by nothing but that order.

    Raises:
        ModelError: fewer than ``width`` eigenvalues are above rounding.
    """
    values, vectors = torch.linalg.eigh(moment)
    rank = int((values > SMALLEST_ENERGY * values[-1]).sum())
    if rank < width:
        raise ModelError(
            f"a student {width} wide cannot be cut out of the text given: the teacher's states vary in {rank} "
            "directions there: give more text, or a narrower student"
        )
    leading = vectors[:, -width:].flip(-1)
    signs = torch.where(leading.pow(3).sum(dim=0) < 0, -1.0, 1.0)
    return leading * signs


def mixing_rotation(width: int, seed: int) -> Tensor:
    """An orthogonal matrix Q (n, n) that spreads directions over channels, with Q 1 / sqrt(n) = e_n.

    The student's LayerNorm takes the mean over channels out, the direction 1 / sqrt(n). So placed, what is lost is
    the last, least important direction of U. The rest is random, so that channels have similar variance.

    Args:
        width: n.
        seed: of the random part.
    """
    generator = torch.Generator().manual_seed(seed)
    random, upper = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64))
    random = random * torch.where(upper.diagonal() < 0, -1.0, 1.0)  # the same for every LAPACK
    mean = random.sum(dim=1) / width**0.5
    last = torch.zeros(width, dtype=torch.float64)
    last[-1] = 1.0
    normal = mean - last  # of the mirror that swaps the two
    if float(normal @ normal) < 1e-24:
        return random
    return random - torch.outer(2 * normal / (normal @ normal), normal @ random)
