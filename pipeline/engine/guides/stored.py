"""A stored teacher reads the features of a batch where they are stored, and computes and stores them where not.

The first batches are computed, written and read back with a clock in hand; then it is decided whether
storing pays, once, and later runs with the same key go by that.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.data.tokens.batches import BatchPlan
from pipeline.data.tokens.feature_table import FeatureTable, disk_bytes, make_room
from pipeline.engine.guides.decision import GB, Decision, decide
from pipeline.engine.guides.layout import Batch, KeptFeatures, Layout
from pipeline.features import Seen
from pipeline.progress import Progress
from pipeline.store.disk import write_atomic

Teacher = Callable[[Batch], Seen]
DESCRIPTION = "features.json"
PROBES = 4  # batches measured before deciding; the first one warms up


@dataclass
class Tally:
    """What happened to the batches of one training, and how long it took."""

    batches: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("computed", "read", "written"), 0))
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("computed", "read", "written"), 0.0))

    def add(self, what: str, since: float) -> float:
        """One batch more, begun at ``since``; returns the seconds it took."""
        taken = time.perf_counter() - since
        self.batches[what] += 1
        self.seconds[what] += taken
        return taken


class StoredTeacher:
    """The teacher of a training.

    Args:
        teacher: computes the features of a batch.
        plan: the batches; features are stored by batch, since their last bits depend on its shape.
        shelf: the folder of all such stores.
        key: of this one.
        passes: over the rows.
        budget: bytes that all stores may take.
        progress: is told the decision.
        never: why nothing can be stored, whatever it costs; empty if it can.
        always: store whatever fits, also where it saves no time.
    """

    def __init__(
        self,
        teacher: Teacher,
        plan: BatchPlan,
        *,
        shelf: Path,
        key: str,
        passes: float,
        budget: float,
        progress: Progress,
        never: str = "",
        always: bool = False,
    ) -> None:
        self._teacher, self._plan, self._passes, self._budget = teacher, plan, passes, budget
        self._folder, self._progress, self._tally = shelf / key, progress, Tally()
        self._key, self._always = key, always
        self._kept: KeptFeatures | None = None
        self._probes: list[tuple[int, float, float, float]] = []
        self._tokens = int(plan.lengths.sum(dtype=np.int64))
        self._memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._decided: Decision | None = None
        if never:
            self._conclude(Decision(False, f"teacher features recomputed: {never}"))
        elif not (budget and self._found()):
            self._refuse_early(0)
        self._numbers = np.zeros(len(plan.lengths), np.int32)
        for number, rows in enumerate(plan.batches if self._decided is None or self._kept else ()):
            self._numbers[rows] = number

    def __call__(self, batch: Batch, rows: NDArray[np.int64]) -> Seen:
        """The features of a batch.

        Args:
            batch: on its device.
            rows: indices of its rows, in order.
        """
        if self._decided is not None and self._kept is None:
            return self._compute(batch)[0]
        number = int(self._numbers[rows[0]])
        if not np.array_equal(self._plan.batches[number], rows):
            return self._compute(batch)[0]
        if self._decided is None or self._kept is None:
            return self._probe(number, batch)
        found = self._read(self._kept, number, batch)
        if found is None:
            found, _ = self._compute(batch)
            try:
                self._write(self._kept, number, found, batch)
            except OSError as error:
                self._stop(error)
        return found

    @property
    def computed_share(self) -> float:
        """Share of the batches that the teacher was asked for."""
        batches = self._tally.batches
        return batches["computed"] / max(1, batches["computed"] + batches["read"])

    def record(self) -> dict[str, Any]:
        """What was decided and what came of it, for the manifest."""
        decision = self._decided or Decision(False, "teacher features recomputed: the training was over first")
        return {
            "stored": decision.store,
            "key": self._key,
            "reason": decision.reason,
            "bytes": disk_bytes(self._folder) if decision.store else 0,
            "batches": self._tally.batches,
            "seconds": self._tally.seconds,
        }

    def _found(self) -> bool:
        """Whether an earlier run decided to store these features; they are taken up then."""
        try:
            told = json.loads((self._folder / DESCRIPTION).read_bytes())
            layout = Layout.from_json(told["columns"])
            size = self._tokens * layout.width * 4
            if size > self._budget:
                return False
            os.utime(self._folder)  # used now
        except (OSError, ValueError, KeyError, TypeError):
            return False
        self._kept = self._arranged(layout)
        share = f"{100 * self._kept.table.stored:.0f}% of {size / GB:.3g} GB"
        self._conclude(Decision(True, f"teacher features of an earlier run are read: {share} are there"))
        return True

    def _arranged(self, layout: Layout) -> KeptFeatures:
        tokens = [int(self._plan.lengths[rows].sum()) for rows in self._plan.batches]
        return KeptFeatures(layout, FeatureTable(self._folder, tokens, layout.width))

    def _refuse_early(self, bytes_per_token: int) -> bool:
        """Rule out what could not pay even if it took no time."""
        decision = self._judge(bytes_per_token, 1.0, 0.0, 0.0)
        if not decision.store:
            self._conclude(decision)
        return not decision.store

    def _judge(self, bytes_per_token: int, teacher: float, write: float, read: float) -> Decision:
        shelf = self._folder.parent
        there = next(path for path in (shelf, *shelf.absolute().parents) if path.exists())
        return decide(
            tokens=self._tokens,
            bytes_per_token=bytes_per_token,
            passes=self._passes,
            budget=self._budget,
            free=shutil.disk_usage(there).free + disk_bytes(shelf),  # older stores make room
            teacher_seconds=teacher,
            write_seconds=write,
            read_seconds=read,
            always=self._always,
        )

    def _conclude(self, decision: Decision) -> None:
        if not decision.store:
            self._kept = None
        self._decided = decision
        if decision.store or self._passes > 1:  # else there was nothing to decide
            self._progress.note(decision.reason)

    def _probe(self, number: int, batch: Batch) -> Seen:
        """Compute, write and read a batch, and decide when enough are measured."""
        features, computed = self._compute(batch, wait=True)
        if self._kept is None:
            layout = Layout.of(features)
            if self._refuse_early(4 * layout.width):
                return features
            self._kept = self._arranged(layout)
        kept = self._kept
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            written = self._write(kept, number, features, batch)
            if self._tokens * 4 * kept.layout.width > self._memory / 2:
                kept.table.forget(number)
            now = time.perf_counter()
            self._read(kept, number, batch)
            read = time.perf_counter() - now
            self._probes.append((int(kept.table.tokens[number]), computed, written, read))
            if len(self._probes) == min(PROBES, len(self._plan)):
                self._decide(kept)
        except OSError as error:
            self._stop(error)
        return features

    def _decide(self, kept: KeptFeatures) -> None:
        tokens, *seconds = np.sum(self._probes[1:] or self._probes, axis=0).tolist()
        size = 4 * kept.layout.width
        teacher, write, read = (spent / max(1, tokens) for spent in seconds)
        decision = self._judge(size, teacher, write / size, read / size)
        if decision.store:
            make_room(self._folder.parent, int(self._tokens * size), int(self._budget), keep=self._folder)
            told = {"columns": kept.layout.to_json(), "reason": decision.reason}
            write_atomic(self._folder / DESCRIPTION, json.dumps(told, indent=1).encode())
        else:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._conclude(decision)

    def _stop(self, error: OSError) -> None:
        """The disk refuses: give its space back and store no more."""
        shutil.rmtree(self._folder, ignore_errors=True)
        why = error.strerror or error
        self._conclude(Decision(False, f"teacher features recomputed: they cannot be stored any more ({why})"))

    def _compute(self, batch: Batch, *, wait: bool = False) -> tuple[Seen, float]:
        """What the teacher says, and how long it took; with ``wait`` the device has finished."""
        now = time.perf_counter()
        features = self._teacher(batch)
        if wait and batch["input_ids"].is_cuda:
            torch.cuda.synchronize(batch["input_ids"].device)
        return features, self._tally.add("computed", now)

    def _read(self, kept: KeptFeatures, number: int, batch: Batch) -> Seen | None:
        now = time.perf_counter()
        features = kept.read(number, batch)
        if features is not None:
            self._tally.add("read", now)
        return features

    def _write(self, kept: KeptFeatures, number: int, features: Seen, batch: Batch) -> float:
        now = time.perf_counter()
        kept.write(number, features, batch)
        return self._tally.add("written", now)
