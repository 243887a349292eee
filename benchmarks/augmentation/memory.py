"""Peak memory of the augmentation's two stages for several numbers of rows, and the slope between them.

    python benchmarks/augmentation/memory.py

Each size runs in a process of its own: distinct sentences found, candidates written and joined, variants drawn and
joined. Candidates are made up: a model's memory is the same for any number of rows. Anonymous memory is what the
process holds; mapped pages of files, which the system takes back when it wants to, are told apart.

Two things are held for every row, and measured with many more of them: which sentences there were, and the transfer set
(lengths, origins, the teacher's logits, who stands in which batch), by the stages that make it and learn from it.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import pyarrow as pa
from setting import arguments, made_up_words, print_machine, wordpiece

SIZES = (50_000, 100_000, 200_000)
MANY = (500_000, 2_000_000)  # rows, where what is held grows with their number
ORIGINALS, CLASSES = 0.05, 2
PLANNED = 10_000_000


def held() -> dict[str, int]:
    """Anonymous and mapped bytes of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: int(line.split()[1]) * 1024 for name in ("RssAnon", "RssFile") for line in lines if name in line}


class Peak:
    """The most anonymous memory, looked at many times a second."""

    def __enter__(self) -> Self:
        self.most = held()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.005):
            self.most = {name: max(self.most[name], bytes_) for name, bytes_ in held().items()}


def made_up_rows(count: int) -> Iterator[pa.RecordBatch]:
    """Rows of ten words, every third one a sentence that was there before."""
    words = made_up_words()
    for start in range(0, count, 2_048):
        ids = range(start, min(start + 2_048, count))
        texts = []
        for row in ids:
            number = row // 3 if row % 3 == 2 else row
            picks = (number * 7919 + place * (104729 + number % 1013) for place in range(10))
            texts.append(" ".join(words[pick % len(words)] for pick in picks))
        yield pa.record_batch({"row_id": list(ids), "text": texts})


def measure(count: int, variants: int) -> None:
    """Run both stages and print what they took, as JSON."""
    from written import write_candidates

    from pipeline.augmentation.variants.build import Drawing, build_variants
    from pipeline.config.augmentation import AugmentationConfig
    from pipeline.progress import Silent

    tokenizer = wordpiece(None)
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        before = held()
        with Peak() as first:
            rows = write_candidates(Path(folder) / "candidates", lambda: made_up_rows(count), tokenizer)
        between = time.perf_counter()
        drawing = Drawing(
            config=AugmentationConfig(variants=variants),
            seed=0,
            candidates=Path(folder) / "candidates",
            scratch=Path(folder) / "scratch",
        )
        with Peak() as second:
            made = build_variants(rows, drawing, output=Path(folder) / "output", progress=Silent())
        disk = {
            path.name: path.stat().st_size
            for path in (*Path(folder, "candidates").glob("*.arrow"), Path(folder, "output", "variants.parquet"))
        }
        said = {
            "before": before["RssAnon"],
            "candidates": first.most["RssAnon"],
            "augmentation": second.most["RssAnon"],
            "mapped": max(first.most["RssFile"], second.most["RssFile"]),
            "seconds": [round(between - began, 1), round(time.perf_counter() - between, 1)],
            "variants": made["variants"],
            "disk": disk,
        }
    print(json.dumps(said))


def measure_sentences(count: int) -> None:
    """Only tell the sentences apart, and print the peak, as JSON."""
    from pipeline.augmentation.words.sentences import write_sentences

    with TemporaryDirectory() as folder, Peak() as peak:
        paths = Path(folder) / "sentences", Path(folder) / "numbers"
        write_sentences(lambda: made_up_rows(count), ["text"], *paths, shard_sentences=2_048)
    print(json.dumps(peak.most["RssAnon"]))


def measure_transfer_set(count: int) -> None:
    """Join the logits of a transfer set, plan two epochs over rows whose label agrees, and print the peak, as JSON."""
    import numpy as np

    from pipeline.data.tokens.batches import BatchPlan
    from pipeline.data.tokens.logits import join_logits, read_logits, write_logits
    from pipeline.data.tokens.table import TokenTable, TokenTableWriter
    from pipeline.engine.teacher_logits import SHARD_ROWS
    from pipeline.engine.transfer_set import TransferSet

    originals, random = max(1, int(ORIGINALS * count)), np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        with TokenTableWriter(Path(folder) / "tokens", vocab_size=1_000) as writer:
            for row in range(count):
                writer.append([7] * (4 + row % 20), None, row_id=row % originals, label=float("nan"))
        shards = []
        for begin in range(0, count, SHARD_ROWS):
            shards.append(Path(folder) / f"{begin}.arrow")
            write_logits(shards[-1], random.normal(size=(min(SHARD_ROWS, count - begin), CLASSES)).astype(np.float32))
        before = held()["RssAnon"]
        with Peak() as peak:
            join_logits(shards, Path(folder) / "logits.arrow")
            transfer = TransferSet(
                TokenTable.open(Path(folder) / "tokens"),
                read_logits(Path(folder) / "logits.arrow"),
                originals,
                originals,
                tolerance=None,
            )
            rows, source_rows = transfer.learned_from("agree"), transfer.label_source_rows("agree")
            plan = BatchPlan(transfer.table.lengths[rows], 32, seed=0)
            batches = [plan.epoch(epoch) for epoch in range(2)]
            found = [transfer.logits[source_rows[rows[batch]]] for batch in batches[-1][:100]]
            time.sleep(0.1)  # to be seen
            del found, batches
    print(json.dumps(peak.most["RssAnon"] - before))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--variants", type=int, default=20)
    parser.add_argument("--only", type=int, help="measure this number of rows in this process")
    parser.add_argument("--part", choices=["sentences", "transfer"], help="with --only: of what is held for every row")
    options = parser.parse_args()
    if options.only:
        if options.part == "sentences":
            measure_sentences(options.only)
        elif options.part == "transfer":
            measure_transfer_set(options.only)
        else:
            measure(options.only, options.variants)
        return
    print_machine()
    sizes = (300, 600) if options.quick else SIZES
    found = []
    for count in sizes:
        said = _in_a_process("--only", str(count), "--variants", str(options.variants))
        found.append(said)
        mega = {name: f"{said[name] / 1e6:.0f} MB" for name in ("before", "candidates", "augmentation", "mapped")}
        total = sum(said["disk"].values()) / 1e6
        print(f"{count:,} rows: {mega}, {said['variants']:,} variants, {said['seconds']} s, {total:.0f} MB on disk")
    for stage in ("candidates", "augmentation"):
        slope = (found[-1][stage] - found[0][stage]) / (sizes[-1] - sizes[0])
        planned = max(said[stage] for said in found) + max(0.0, slope) * (PLANNED - sizes[-1])
        print(f"{stage}: {slope:.1f} bytes a row, so {planned / 1e9:.2f} GB for {PLANNED:,} rows")
    few, many = sizes if options.quick else MANY
    for part, told in (("sentences", "telling sentences apart"), ("transfer", "the transfer set, beside the models")):
        less, more = (_in_a_process("--only", str(count), "--part", part) for count in (few, many))
        slope = (more - less) / (many - few)
        print(
            f"{told}: {less / 1e6:.0f} MB for {few:,} rows, {more / 1e6:.0f} MB for {many:,}: "
            f"{slope:.1f} bytes a row, so {(more + slope * (PLANNED - many)) / 1e9:.2f} GB for {PLANNED:,} rows"
        )


def _in_a_process(*options: str) -> Any:
    command = [sys.executable, __file__, *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
