"""Time and memory of the attention-score loss, forward and backward: score matrices against Gram matrices.

    python benchmarks/attention_loss.py [--device cuda] [--tokens 4096] [--rounds 7]

Both forms run in turn, on one thread, on the same number of tokens at every length; printed is the best
time of each, and the length where the two meet: in units of both head widths together, this is GRAM_FROM of
pipeline/distillation/attention_loss.py. At length 512 each form runs in a process of its own, which follows
the bytes of all live tensors that the loss makes, and the peak of resident memory on top of what was there
before (Linux).
"""

import argparse
import gc
import json
import math
import platform
import subprocess
import sys
import time
import weakref
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.distillation.attention_loss import GRAM_FROM, Attention, score_error

HEADS = 12
WIDTHS = ((26, 64), (7, 16), (64, 64))
LENGTHS = (16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 256, 384, 512)


class Loss:
    """Random features in the layout in which models hand them out, transposed views, and their loss."""

    def __init__(self, rows: int, length: int, widths: tuple[int, int], device: str) -> None:
        random = torch.Generator().manual_seed(0)

        def linear(width: int) -> torch.Tensor:
            return torch.randn(rows, length, HEADS * width, generator=random).to(device)

        self.outputs = [[linear(width) for _ in range(2)] for width in widths]
        for output in self.outputs[0]:
            output.requires_grad_()
        shortest = length - length // 10
        self.mask = torch.arange(length) < torch.randint(shortest, length + 1, (rows, 1), generator=random)
        self.mask = self.mask.to(device)

    def run(self, *, gram: bool) -> torch.Tensor:
        """Forward and backward."""
        rows, length = self.mask.shape
        student, teacher = (
            Attention(*(output.view(rows, length, HEADS, -1).transpose(1, 2) for output in pair))
            for pair in self.outputs
        )
        error = score_error(student, teacher, self.mask, gram=gram)
        error.backward()
        for output in self.outputs[0]:
            output.grad = None
        return error.detach()

    def seconds(self, *, gram: bool) -> float:
        """Of one forward and backward; a GPU is waited for."""
        started = time.perf_counter()
        self.run(gram=gram).item()
        return time.perf_counter() - started


class LiveBytes(TorchDispatchMode):
    """Follows the bytes of the storages made while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = self.largest = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        """Run an operation and count what it made."""
        output = func(*args, **(kwargs or {}))
        given = {id(x.untyped_storage()) for x in args if isinstance(x, torch.Tensor)}
        for tensor in output if isinstance(output, tuple | list) else (output,):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage(), given)
        return output

    def _count(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        # A view or an operation in place makes nothing; storages keep their identity while they live.
        if id(storage) in given or id(storage) in self._known:
            return
        size, identity = storage.nbytes(), id(storage)
        self._known.add(identity)
        self.live += size
        self.peak, self.largest = max(self.peak, self.live), max(self.largest, size)
        weakref.finalize(storage, self._freed, identity, size)

    def _freed(self, identity: int, size: int) -> None:
        self._known.discard(identity)
        self.live -= size


def resident_bytes(entry: str) -> int:
    """VmRSS, resident memory now, or VmHWM, its peak; Linux only."""
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith(entry))


def peak(gram: bool, widths: tuple[int, int]) -> dict[str, float]:
    """Of one run at length 512 with 8 rows; for a process of its own."""
    Loss(1, 512, widths, "cpu").run(gram=gram)  # what torch loads on first use
    loss = Loss(8, 512, widths, "cpu")
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = resident_bytes("VmRSS")
    loss.run(gram=gram)
    resident = resident_bytes("VmHWM") - before
    with LiveBytes() as bytes_:
        loss.run(gram=gram)
    found = {"peak": bytes_.peak, "largest": bytes_.largest, "resident": resident}
    found["seconds"] = min(loss.seconds(gram=gram) for _ in range(5))
    return found


def crossover(times: dict[int, tuple[float, float]]) -> float:
    """The length from which on the Gram form stays the faster one, between measured ones by interpolation."""
    ratios = [(length, math.log(direct / gram)) for length, (direct, gram) in times.items()]
    last = max((place for place, (_, ratio) in enumerate(ratios) if ratio < 0), default=-1)
    if last < 0 or last + 1 == len(ratios):
        return math.nan
    (below, low), (above, high) = ratios[last], ratios[last + 1]
    return below + (above - below) * -low / (high - low)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peak", nargs=3, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.peak:
        print(json.dumps(peak(bool(given.peak[0]), tuple(given.peak[1:]))))
        return
    print(f"torch {torch.__version__}, {given.device}, {platform.machine()}; {given.tokens} tokens, {HEADS} heads; ms")
    for widths in WIDTHS:
        times = {}
        for length in LENGTHS:
            loss = Loss(max(1, given.tokens // length), length, widths, given.device)
            rounds = [[loss.seconds(gram=gram) for gram in (False, True)] for _ in range(given.rounds)]
            direct, gram = times[length] = tuple(map(min, zip(*rounds, strict=True)))
            print(f"d {widths[0]:2} and {widths[1]:2}, length {length:3}: ", end="")
            print(f"direct {direct * 1e3:7.2f}  gram {gram * 1e3:7.2f}  {direct / gram:5.2f}x", flush=True)
        meet = crossover(times)
        print(f"they meet at {meet:.0f} = {meet / sum(widths):.2f} (d_S + d_T); GRAM_FROM is {GRAM_FROM}\n")
    if given.device != "cpu":
        return
    for widths in WIDTHS:
        print(f"length 512, 8 rows, d {widths[0]} and {widths[1]}; one score matrix of the batch has 100.7 MB")
        for gram in (False, True):
            command = [sys.executable, __file__, "--peak", *map(str, (int(gram), *widths))]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"  {'gram  ' if gram else 'direct'} {found['seconds'] * 1e3:6.1f} ms, live tensors at peak ", end="")
            print(f"{found['peak'] / 1e6:6.1f} MB, the largest {found['largest'] / 1e6:6.1f} MB, ", end="")
            print(f"resident memory +{found['resident'] / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
