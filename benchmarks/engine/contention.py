"""How a training of small products fares beside other work: quiet, and beside two and four busy loops.

    python benchmarks/engine/contention.py

The shapes are the demonstration's (4 layers, 192 wide, to two students of 2 layers, 84 wide). Each measurement is a
process of its own, since OpenMP decides once how its threads wait; the ways take turns. A fair share of two cores
beside two loops is half, so twice the time; beside four it is a third, three times.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.device.waiting import ask_for_short_slices  # decides how threads wait, before torch is imported

USUAL = "--usual-slices"
# The environment and the options of each way; by itself libgomp spins 300,000 times.
WAYS: Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]] = {
    "spinning, as torch does": ({"GOMP_SPINCOUNT": "300000"}, (USUAL,)),
    "sleeping at once": ({"OMP_WAIT_POLICY": "PASSIVE"}, (USUAL,)),
    "one thread": ({"OMP_NUM_THREADS": "1"}, (USUAL,)),
    "spinning briefly": ({}, (USUAL,)),
    "the engine: and short slices": ({}, ()),
}
LOOPS = (0, 2, 4)
GOALS = {2: 2.5, 4: 4.0}
BUSY = "while True: pass"


def main() -> None:
    """Print seconds by way and load, and what the load costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each cell (3)")
    parser.add_argument("--rows", type=int, default=1_200, help="rows of the training (1,200)")
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(USUAL, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="few rows, one round: does it run?")
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds, asked.rows = 1, 60
    if asked.train:
        train(asked.rows, short=not asked.usual_slices)
        return
    found: dict[tuple[str, int], list[float]] = {}
    for number in range(asked.rounds):
        for loops in LOOPS:
            for way in WAYS:
                seconds = measure(way, loops, asked.rows)
                found.setdefault((way, loops), []).append(seconds)
                print(f"  round {number + 1}, {loops} loops, {way}: {seconds:.1f} s", flush=True)
    usual = statistics.median(found[next(iter(WAYS)), 0])
    for way in WAYS:
        quiet, *loaded = (statistics.median(found[way, loops]) for loops in LOOPS)
        costs = ", ".join(
            f"{seconds / usual:.2f} times the usual quiet time beside {loops} loops (goal {GOALS[loops]:g})"
            for loops, seconds in zip(LOOPS[1:], loaded, strict=True)
        )
        print(f"{way}: {quiet:.1f} s when quiet ({quiet / usual:.2f} times), {costs}")


def measure(way: str, loops: int, rows: int) -> float:
    """Seconds of a training whose threads wait in this way, beside ``loops`` busy loops."""
    variables, options = WAYS[way]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(loops)]
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--train", "--rows", str(rows), *options],
            env=environment | variables,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    finally:
        for other in others:
            other.kill()
            other.wait()
    seconds: float = json.loads(done.stdout.splitlines()[-1])
    return seconds


def train(rows: int, *, short: bool) -> None:
    """Train once to warm up and once with a clock; print the seconds."""
    sys.path.insert(0, str(Path(__file__).parent))
    from setting import Engine, Shape, made_up_rows

    if short:
        ask_for_short_slices()
    student = Shape(2, 84, 336)
    engine = Engine(made_up_rows(rows, mean=25), Shape(4, 192, 768), {"first": student, "second": student})
    engine.epoch()
    print(json.dumps(engine.epoch()["seconds"]))


if __name__ == "__main__":
    main()
