"""One, two and three students from one teacher pass, against training each of them alone.

    python benchmarks/engine/many_students.py FOLDER_OF_SST-2

The students differ in size, and each maps other layers of the teacher.
"""

from statistics import median

from rounds import print_machine, take_turns
from setting import Engine, Shape, arguments, sentences, shapes, typical

OTHERS = (Shape(6, 384, 1536), Shape(3, 192, 768))
QUICK_OTHERS = (Shape(1, 36, 72), Shape(2, 12, 24))


def main() -> None:
    asked = arguments(__doc__, rounds=3)
    teacher, first = shapes(quick=asked.quick)
    others = QUICK_OTHERS if asked.quick else OTHERS
    students = {f"{shape.layers}-layers-{shape.hidden}-wide": shape for shape in (first, *others)}
    rows = typical(sentences(asked), asked.batches)
    print_machine()
    names = list(students)
    families = [names[:count] for count in range(1, len(names) + 1)]
    engines = {
        " + ".join(family): Engine(rows, teacher, {name: students[name] for name in family})
        for family in [*families, *([name] for name in names[1:])]
    }
    found = take_turns({name: engine.speed for name, engine in engines.items()}, asked.rounds)
    seconds = {name: [speed.seconds / asked.batches for speed in speeds] for name, speeds in found.items()}
    for family in families:
        together = seconds[" + ".join(family)]
        apart = [sum(parts) for parts in zip(*(seconds[name] for name in family), strict=True)]
        ratio = median(b / a for a, b in zip(together, apart, strict=True))
        print(
            f"{len(family)} ({'; '.join(family)}): {median(together):.3f} s a step together, {median(apart):.3f} s one "
            f"after the other: {ratio:.2f} times as fast"
        )


if __name__ == "__main__":
    main()
