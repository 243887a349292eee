"""Time the engine's own forms on a CPU against torch's, on whole training steps of cases that users have.

    python benchmarks/engine/plain_forms.py [--rounds 7]

Memory comes first, because this setting of the C library cannot be undone: a student's epoch before and after freed
memory is kept. Then packed teacher layers and cheap dropout are left out in turns. What gains less than 3%
of a step everywhere is not worth its lines.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any
from unittest.mock import patch

from precision import alone
from rounds import Speed, print_machine, take_turns
from setting import (
    BERT_BASE,
    BUDGET,
    OURS,
    QUICK_STUDENT,
    QUICK_TEACHER,
    TINYBERT_4,
    Engine,
    Shape,
    arguments,
    made_up_rows,
    typical,
)

from pipeline.config.precision import Precision
from pipeline.engine.precision import cpu_has_bfloat16
from pipeline.training.malloc_tuning import keep_freed_memory

# What is left out, by the place where the engine would do it.
WITHOUT = {
    OURS: None,
    "without packed layers": "pipeline.engine.guides.frozen.pack",
    "without cheap dropout": "pipeline.engine.learner.draw_cheaply",
}


def main() -> None:
    """Print how many times as fast the engine is as it would be without each."""
    asked = arguments(__doc__, rounds=7, keep_memory=False)
    print_machine()
    rows = made_up_rows(200 if asked.quick else 20_000, mean=12.6)
    epoch = alone(typical(rows, 2 if asked.quick else 32), 24 if asked.quick else 312, "float32")
    epoch()  # warms up
    before = median(epoch() for _ in range(5))
    keep_freed_memory()
    epoch()
    after = median(epoch() for _ in range(5))
    print(f"kept memory, an epoch of a student: {before:.2f} s, {after:.2f} s: {before / after:.2f} times as fast")
    base, tiny = (QUICK_TEACHER, QUICK_STUDENT) if asked.quick else (BERT_BASE, TINYBERT_4)
    small = (QUICK_TEACHER, QUICK_STUDENT) if asked.quick else (Shape(6, 384, 1536), Shape(3, 192, 768))
    precisions: list[Precision] = ["float32", *(["bfloat16"] if cpu_has_bfloat16() else [])]
    for precision in precisions:
        for name, shapes in (("12/768 to 4/312", (base, tiny)), ("6/384 to 3/192", small)):
            chosen = typical(rows, max(2, asked.batches // 4), max_tokens=BUDGET)
            ways = {way: _engine(chosen, *shapes, precision, left_out) for way, left_out in WITHOUT.items()}
            found = take_turns(ways, asked.rounds)
            for way, speeds in found.items():
                pairs = zip(found[OURS], speeds, strict=True)
                ratio = median(a.tokens_per_second / b.tokens_per_second for a, b in pairs)
                print(f"{name}, {precision}, {BUDGET:,} tokens a batch, {way}: the engine is {ratio:.3f} times as fast")


def _engine(
    rows: list[list[int]], teacher: Shape, student: Shape, precision: Precision, left_out: str | None
) -> Callable[[], Speed]:
    with _without(left_out):
        return Engine(rows, teacher, {"student": student}, max_tokens=BUDGET, precision=precision).speed


@contextmanager
def _without(place: str | None) -> Iterator[Any]:
    if place is None:
        yield
        return
    with patch(place, lambda _model: None):
        yield


if __name__ == "__main__":
    main()
