"""How long word vectors take to be ready: the first time from text, the second time mapped.

    python benchmarks/augmentation/vectors.py

They are kept in a folder of their own, which is thrown away with the file they came from.
"""

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from setting import arguments, made_up_vectors, names, print_machine

from pipeline.augmentation.candidates.glove import RACY_NS, cached_vectors

GOAL = 0.5


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--words", type=int, default=100_000)
    options = parser.parse_args()
    print_machine()
    words = names(500 if options.quick else options.words)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.txt"
        with path.open("w") as file:
            for word, row in zip(words, made_up_vectors(words), strict=True):
                file.write(f"{word} {' '.join(f'{value:.5f}' for value in row)}\n")
        os.utime(path)
        time.sleep(1.1 * RACY_NS / 1e9)  # until then the file could still be changing
        for attempt in ("first", "second", "third"):
            began = time.perf_counter()
            found = cached_vectors(path, None, Path(folder) / "cache")
            ready = time.perf_counter() - began
            near = found.neighbours(words[1], 15)
            asked = time.perf_counter() - began - ready
            goal = "" if attempt == "first" else f" (goal {GOAL:g} s)"
            print(
                f"the {attempt} time: {len(found.words):,} x {found.matrix.shape[1]} ready in {ready:.3f} s{goal}, "
                f"{len(near)} neighbours of a word {asked:.3f} s later"
            )


if __name__ == "__main__":
    main()
