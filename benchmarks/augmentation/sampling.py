"""Variants drawn a second on one core from candidates that are on disk, written as Parquet.

    python benchmarks/augmentation/sampling.py SST-2/train.tsv --vocab bert-base-uncased.vocab.txt

What is timed is the stage ``augmentation`` without its start: reading candidates, drawing, dropping duplicates,
counting, writing shards and joining them. Candidates are 12 made-up words for each replaceable one, about as many as
K = 15 leaves. Every row is another sentence: rows that are there twice would be read from memory.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from setting import arguments, print_machine, read_sentences, wordpiece
from written import write_candidates

from pipeline.augmentation.variants.build import Drawing, build_variants
from pipeline.config.augmentation import AugmentationConfig
from pipeline.progress import Silent

GOAL = 50_000


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_machine()
    count = 50 if options.quick else options.rows
    texts, tokenizer = read_sentences(options.sentences, count), wordpiece(options.vocab)
    if len(texts) < count:
        parser.error(
            f"{options.sentences} has {len(texts):,} distinct sentences: give a larger one, or --rows {len(texts)}"
        )
    with TemporaryDirectory() as folder:
        rows = write_candidates(Path(folder) / "candidates", texts, tokenizer)
        for attempt in range(1 if options.quick else 3):
            drawing = Drawing(
                config=AugmentationConfig(variants=20),
                seed=attempt,
                candidates=Path(folder) / "candidates",
                scratch=Path(folder) / f"scratch-{attempt}",
            )
            began, core = time.perf_counter(), time.process_time()
            made = build_variants(rows, drawing, output=Path(folder) / f"output-{attempt}", progress=Silent())
            wall, core = time.perf_counter() - began, time.process_time() - core
            print(
                f"{count:,} rows gave {made['variants']:,} variants in {wall:.2f} s: {made['variants'] / wall:,.0f} "
                f"variants/s, {made['variants'] / core:,.0f} a second of one core (goal {GOAL:,})"
            )


if __name__ == "__main__":
    main()
