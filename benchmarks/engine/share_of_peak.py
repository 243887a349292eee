"""How near the engine is to what the machine's matrix products allow.

    python benchmarks/engine/share_of_peak.py FOLDER_OF_SST-2

Operations of the distillation of real tokens (padding counts as nothing done), over seconds of the whole loop, over
the operations a second of a 1024 x 1024 x 1024 product in the same precision, the best of many just before and after.
"""

from statistics import median

import torch
from rounds import matmul_peak, print_machine
from setting import Engine, arguments, precisions, sentences, shapes, step_flops, typical

GOAL = 0.75
BUDGETS = (None, 1_024, 2_048, 4_096)


def main() -> None:
    asked = arguments(__doc__, rounds=5)
    teacher, student = shapes(quick=asked.quick)
    rows = sentences(asked)
    print_machine()
    seconds = 0.02 if asked.quick else 0.5
    engines = {}
    for budget in BUDGETS:
        # As many rows of each: what differs is how they are cut into batches.
        batches = asked.batches if budget is None else max(2, asked.batches * 32 * 13 // budget)
        chosen = typical(rows, batches, max_tokens=budget)
        for precision in reversed(precisions()):
            engine = Engine(chosen, teacher, {"student": student}, max_tokens=budget, precision=precision)
            name = f"{precision}, {f'{budget:,} tokens' if budget else '32 rows'} a batch"
            engines[name] = engine, step_flops(chosen, teacher, student), getattr(torch, precision)
    shares: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(asked.rounds + 1):
        for name, (engine, flops, dtype) in engines.items():
            before = matmul_peak(dtype, seconds=seconds)
            speed = engine.epoch()
            peak = max(before, matmul_peak(dtype, seconds=seconds))
            share = flops / speed["seconds"] / peak
            if not number:
                continue  # the first round warms up
            shares[name].append(share)
            parts = {
                use: speed.get(f"{use}_seconds", 0.0) for use in ("teacher", "student", "loss", "optimizer", "data")
            }
            print(
                f"  round {number}, {name}: {engine.tokens / speed['seconds']:,.0f} real tokens/s, "
                f"peak {peak / 1e9:.0f} GFLOP/s, share {share:.3f}; "
                + ", ".join(f"{use} {part / speed['seconds']:.1%}" for use, part in parts.items()),
                flush=True,
            )
    for name, found in shares.items():
        efficiency = engines[name][0].padding_efficiency
        print(f"{name}: share of peak {median(found):.3f} (goal {GOAL}), padding efficiency {efficiency:.3f}")


if __name__ == "__main__":
    main()
