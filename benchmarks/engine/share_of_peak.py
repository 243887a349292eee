"""How near the engine is to what the machine's matrix products allow.

    python benchmarks/engine/share_of_peak.py FOLDER_OF_SST-2

Operations of the distillation of real tokens (padding counts as nothing done), over seconds of the whole loop, over
the operations a second of a 1024 x 1024 x 1024 product in the same precision: the fastest of many just before and
after, which is the peak, and the one in the middle, which is what the processor keeps up. One training at a time is in
the process, as in a run.
"""

from statistics import median

import torch
from rounds import print_machine, products
from setting import Engine, Shape, arguments, precisions, sentences, shapes, step_flops, typical

from pipeline.config.precision import Precision

GOAL = 0.75
BUDGETS = (None, 1_024, 2_048, 4_096)
USES = ("teacher", "student", "loss", "optimizer", "data")


def main() -> None:
    asked = arguments(__doc__, rounds=5)
    teacher, student = shapes(quick=asked.quick)
    rows = sentences(asked)
    print_machine()
    lines = []
    for precision in reversed(precisions()):
        for budget in BUDGETS:
            # As many rows of each: what differs is how they are cut into batches.
            batches = asked.batches if budget is None else max(2, asked.batches * 32 * 13 // budget)
            chosen = typical(rows, batches, max_tokens=budget)
            name = f"{precision}, {f'{budget:,} tokens' if budget else '32 rows'} a batch"
            lines.append(measured(name, chosen, teacher, student, precision, budget, asked.rounds, quick=asked.quick))
    print("\n".join(lines))


def measured(
    name: str,
    rows: list[list[int]],
    teacher: Shape,
    student: Shape,
    precision: Precision,
    budget: int | None,
    rounds: int,
    *,
    quick: bool,
) -> str:
    """A training's share of the peak, round by round as they end, and all in a line."""
    engine = Engine(rows, teacher, {"student": student}, max_tokens=budget, precision=precision)
    flops, dtype, seconds = step_flops(rows, teacher, student), getattr(torch, precision), 0.02 if quick else 0.5
    engine.epoch()  # warms up
    shares, kept_up = [], []
    for number in range(1, rounds + 1):
        before, speed, after = products(dtype, seconds=seconds), engine.epoch(), products(dtype, seconds=seconds)
        achieved, peak = flops / speed["seconds"], max(before.fastest, after.fastest)
        shares.append(achieved / peak)
        kept_up.append(achieved / ((before.median + after.median) / 2))
        parts = ", ".join(f"{use} {speed.get(f'{use}_seconds', 0.0) / speed['seconds']:.1%}" for use in USES)
        print(
            f"  round {number}, {name}: {engine.tokens / speed['seconds']:,.0f} real tokens/s, "
            f"peak {peak / 1e9:.0f} GFLOP/s, share {shares[-1]:.3f}, of the median product {kept_up[-1]:.3f}; {parts}",
            flush=True,
        )
    return (
        f"{name}: share of peak {median(shares):.3f} ({min(shares):.3f} to {max(shares):.3f}, goal {GOAL}), "
        f"of the median product {median(kept_up):.3f}, padding efficiency {engine.padding_efficiency:.3f}"
    )


if __name__ == "__main__":
    main()
