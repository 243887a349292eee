"""The rows of a task for a rehearsal: how many there are, how long they are, and which of them stand for all."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.config.training import TrainingConfig
from pipeline.cost.sizes import MOST_PLANNED, Lengths, batches, resampled
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.inference import INFERENCE_TOKENS
from pipeline.engine.rows import write_rows
from pipeline.models.source import ModelSource
from pipeline.progress import Silent

SMALLER = 4  # the smaller of two sizes is this part of the larger
Sample = tuple[Lengths, float]  # lengths in tokens of all rows or of some, (rows,), and the number of all
NO_ROWS: Sample = (np.zeros(0, np.int32), 0.0)


@dataclass(frozen=True)
class TaskRows:
    """The rows of a task: all of them, and those of the rehearsal.

    Attributes:
        folder: folder of the shrunk tables.
        smaller: folder of tables ``SMALLER`` times smaller than these.
        rows: split -> number of real rows.
        here: split -> lengths in tokens of the rehearsal's rows, (rows,).
        there: split -> lengths of a sample of the real rows, (rows,).
        seconds_a_row: seconds to tokenise one row.
        max_length: longest row, in tokens.
    """

    folder: Path
    smaller: Path
    rows: dict[str, int]
    here: dict[str, Lengths]
    there: dict[str, Lengths]
    seconds_a_row: float
    max_length: int

    def reading_seconds(self, *splits: str) -> float:
        """Return the seconds that tokenising the real rows of some splits takes beyond the rehearsal's rows."""
        return sum(self.rows[split] - len(self.here[split]) for split in splits) * self.seconds_a_row

    def transfer(self, variants: Sample) -> tuple[Lengths, Lengths, float]:
        """Return the transfer set: training rows, unlabelled rows and variants.

        Args:
            variants: lengths and number of the variants.

        Returns:
            Lengths of the rehearsal's rows, which have no variants; lengths distributed as those of the real rows, at
            most ``MOST_PLANNED`` of them; the number of real rows.
        """
        splits = [split for split in ("train", "unlabelled") if split in self.rows]
        parts = [*((self.there[split], self.rows[split]) for split in splits), variants]
        total = sum(number for _, number in parts)
        share = min(1.0, MOST_PLANNED / total)
        there = [resampled(lengths, max(1, round(number * share))) for lengths, number in parts if number]
        return np.concatenate([self.here[split] for split in splits]), np.concatenate(there), total

    def tokens_of(self, split: str) -> tuple[float, float, float]:
        """Return the tokens that a model computes for the rows of a split: of ``smaller``, ``folder`` and the task."""
        here, there = self.here[split], self.there[split]
        sizes = ((here, max(1, len(here) // SMALLER)), (here, len(here)), (there, self.rows[split]))
        few, many, real = (inference_tokens(lengths, rows) for lengths, rows in sizes)
        return few, many, real


def inference_tokens(lengths: Lengths, rows: float) -> float:
    """Return the tokens, padding included, that a model computes for ``rows`` rows.

    Args:
        lengths: (sample,), lengths in tokens of a sample of the rows.
        rows: number of rows; fewer rows are padded more.
    """
    return batches(lengths, rows, TrainingConfig(max_tokens=INFERENCE_TOKENS), max_length=0).tokens


def lengths_of(
    tables: Mapping[str, pa.Table], teacher: ModelSource, scratch: Path, max_length: int
) -> tuple[dict[str, Lengths], float]:
    """Tokenise some tables.

    Args:
        tables: name -> table.
        teacher: the model whose tokenizer is used.
        scratch: folder for the tokens.
        max_length: longest row, in tokens.

    Returns:
        Name -> lengths of its rows in tokens, (rows,); and seconds to tokenise one row.
    """
    words = load_tokenizer(teacher.location, teacher.revision)
    clock = time.perf_counter()
    lengths = {
        name: write_rows(scratch / "tokens" / name, [table], words, max_length=max_length, progress=Silent()).lengths
        for name, table in tables.items()
    }
    return lengths, (time.perf_counter() - clock) / sum(map(len, lengths.values()))
