"""Dropout whose masks are fast to draw on a CPU.

Torch draws one random number for each element, which takes several times as long as a layer norm of the same size.
Here one 64-bit number of the same generator serves four elements: an element is kept if its 16 bits reach a threshold.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 2**16  # of 16 bits
LEAST = -(2**15)  # of them, as a signed number


class Dropout(nn.Dropout):
    """``nn.Dropout`` with its rate rounded to a 65,536th on a CPU, and its scale that of the rounded rate."""

    def forward(self, x: Tensor) -> Tensor:
        """Set random elements to zero and scale the others, so that expected values do not change; any shape."""
        dropped = round(self.p * LEVELS)
        if not self.training or not x.is_cpu or not 0 < dropped < LEVELS:
            return F.dropout(x, self.p, self.training)
        return (x * _noise(x, dropped)).to(x.dtype)


def _noise(x: Tensor, dropped: int) -> Tensor:
    """Draw a mask of zeros and scales in x's shape, at least float32, from torch's CPU generator."""
    bits = torch.randint(-(2**63), 2**63 - 1, (-(-x.numel() // 4),))
    levels = bits.view(torch.int16)[: x.numel()].view(x.shape)
    # Compared right into numbers: a mask of truth values would be converted for each product with it.
    noise = torch.empty_like(x, dtype=torch.promote_types(x.dtype, torch.float32), requires_grad=False)
    return torch.ge(levels, LEAST + dropped, out=noise).mul_(LEVELS / (LEVELS - dropped))


def draw_cheaply(model: nn.Module) -> None:
    """Replace every ``nn.Dropout`` of a model by ``Dropout``, in place; weights and their names do not change."""
    for parent in model.modules():
        for name, module in parent.named_children():
            if type(module) is nn.Dropout:
                setattr(parent, name, Dropout(module.p).train(module.training))
