"""What the engine does on a CPU in its own way, against torch's: memory, dropout, a frozen feed-forward block.

    python benchmarks/engine/plain_forms.py

Memory comes first and without, since what a process is told of it cannot be taken back: a student's training steps
before and after freed memory is kept. The others take turns.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from precision import alone
from rounds import print_machine
from setting import BATCH, arguments, made_up_rows
from torch import Tensor, nn
from transformers.activations import GELUActivation

from pipeline.models.speed.dropout import Dropout
from pipeline.models.speed.packed import pack
from pipeline.training.malloc_tuning import keep_freed_memory

Call = Callable[[Tensor], Tensor]


def main() -> None:
    asked = arguments(__doc__, rounds=15, keep_memory=False)
    tokens, width = (64, 24) if asked.quick else (4_096, 768)
    print_machine()
    rows = made_up_rows(BATCH * (2 if asked.quick else 32), mean=12.6)
    epoch = alone(rows, 24 if asked.quick else 312, "float32")
    epoch()  # warms up
    before = median(epoch() for _ in range(5))
    keep_freed_memory()
    epoch()
    after = median(epoch() for _ in range(5))
    print(f"kept memory, an epoch of a student: {before:.2f} s, {after:.2f} s: {before / after:.2f} times as fast")

    x = torch.randn(tokens, width, requires_grad=True)
    compare(f"dropout of {tokens} x {width}", trained(nn.Dropout(0.1)), trained(Dropout(0.1)), x, asked.rounds)
    for dtype in (torch.float32, torch.bfloat16):
        plain, packed = block(width, dtype), block(width, dtype)
        name = f"feed-forward block of {tokens} x {width}, {str(dtype).removeprefix('torch.')}"
        if not pack(packed):
            print(f"{name}: not packed on this processor")
            continue
        with torch.no_grad():
            compare(name, plain, packed, x.detach().to(dtype), asked.rounds)


class Intermediate(nn.Module):
    """The first half of BERT's feed-forward block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense, self.intermediate_act_fn = nn.Linear(width, 4 * width), GELUActivation()

    def forward(self, x: Tensor) -> Tensor:
        """(tokens, width) to (tokens, 4 width)."""
        return self.intermediate_act_fn(self.dense(x))


def block(width: int, dtype: torch.dtype) -> nn.Module:
    """A frozen feed-forward block."""
    torch.manual_seed(0)
    return nn.Sequential(Intermediate(width), nn.Linear(4 * width, width)).to(dtype).requires_grad_(False)


def trained(module: nn.Module) -> Call:
    """Forward and backward."""

    def both(x: Tensor) -> Tensor:
        out: Tensor = module(x)
        out.backward(torch.ones_like(out))
        x.grad = None
        return out

    return both


def compare(name: str, plain: Call, ours: Call, x: Tensor, rounds: int) -> None:
    """Print the median milliseconds of both, taken in turns."""
    taken: dict[Call, list[float]] = {plain: [], ours: []}
    for number in range(-3, rounds):
        for run, found in taken.items():
            started = perf_counter()
            run(x)
            if number >= 0:
                found.append(1e3 * (perf_counter() - started))
    a, b = median(taken[plain]), median(taken[ours])
    print(f"{name}: {a:.2f} ms, {b:.2f} ms: {a / b:.2f} times as fast")


if __name__ == "__main__":
    main()
