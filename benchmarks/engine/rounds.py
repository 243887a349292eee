"""Rounds of timing: contestants take turns in one process and are compared within a round.

So a busy machine slows all of them alike. Speed is real tokens a second: padding is work, but no one asked for it.
"""

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Speed:
    """Real tokens, and the seconds they took."""

    tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Real tokens a second."""
        return self.tokens / self.seconds


@dataclass(frozen=True)
class Products:
    """Floating-point operations a second of many matrix products: of the fastest, and of the one in the middle."""

    fastest: float
    median: float


def products(dtype: torch.dtype = torch.float32, *, seconds: float = 0.5, size: int = 1024) -> Products:
    """How fast square matrix products are here just now, measured anew each time."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    taken, until = [], time.perf_counter() + seconds
    while not taken or time.perf_counter() < until:
        started = time.perf_counter()
        a @ b
        taken.append(time.perf_counter() - started)
    return Products(2 * size**3 / min(taken), 2 * size**3 / statistics.median(taken))


def take_turns(
    contestants: Mapping[str, Callable[[], Speed]], rounds: int, *, warm_up: bool = True
) -> dict[str, list[Speed]]:
    """Every contestant once a round, for some rounds, after a round that does not count."""
    found: dict[str, list[Speed]] = {name: [] for name in contestants}
    for number in range(-int(warm_up), rounds):
        for name, run in contestants.items():
            speed = run()
            if number >= 0:
                found[name].append(speed)
                print(f"  round {number + 1}, {name}: {speed.tokens_per_second:,.0f} real tokens/s", flush=True)
    return found


def print_ratios(found: Mapping[str, Sequence[Speed]], ours: str, goals: Mapping[str, float]) -> dict[str, float]:
    """Print the median speeds, and how many times as fast ``ours`` is, the median over rounds; returns the latter."""
    ratios = {}
    for name, speeds in found.items():
        line = f"{name}: {statistics.median(s.tokens_per_second for s in speeds):,.0f} real tokens/s"
        if name != ours:
            pairs = zip(found[ours], speeds, strict=True)
            ratios[name] = statistics.median(a.tokens_per_second / b.tokens_per_second for a, b in pairs)
            line += f"; {ours} is {ratios[name]:.2f} times as fast"
            line += f" (goal {goals[name]:g})" if name in goals else ""
        print(line)
    return ratios


def print_machine() -> None:
    """Print what the figures were measured on."""
    names = [line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    print(
        f"{names[0] if names else platform.processor()}, {len(names)} cores, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, {time.strftime('%Y-%m-%d')}"
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
