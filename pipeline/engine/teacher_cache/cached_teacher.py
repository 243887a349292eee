"""A cached teacher reads a batch's features from disk, or computes and stores them if they are not there.

The first batches are computed, written and read back, each of them timed. From these times it is decided once
whether caching saves time; later runs with the same key keep that decision.
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
from pipeline.engine.teacher_cache.decision import GB, Decision, caching_pays
from pipeline.engine.teacher_cache.layout import Batch, CachedFeatures, Layout
from pipeline.features import Seen
from pipeline.progress import Progress
from pipeline.store.disk import write_atomic

Teacher = Callable[[Batch], Seen]
DESCRIPTION = "features.json"
PROBES = 4  # batches measured before deciding; the first one warms up


@dataclass
class Tally:
    """How many batches of one training were computed, read and written, and the seconds that took."""

    batches: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("computed", "read", "written"), 0))
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("computed", "read", "written"), 0.0))

    def add(self, what: str, since: float) -> float:
        """Count one batch and return the seconds it took.

        Args:
            what: "computed", "read" or "written".
            since: ``time.perf_counter()`` when it began.
        """
        taken = time.perf_counter() - since
        self.batches[what] += 1
        self.seconds[what] += taken
        return taken


class CachedTeacher:
    """A teacher whose features are cached on disk if that saves time.

    Args:
        teacher: (batch on its device) -> features of the batch.
        plan: the batches; features are stored by batch, because their last bits depend on its shape.
        cache_dir: folder of all feature caches.
        key: name of this cache's folder within ``cache_dir``.
        passes: number of passes over the rows.
        budget: bytes that all caches together may take.
        progress: receives the decision as a note.
        disabled_reason: why these features cannot be cached at all; "" if they can.
        always: cache whatever fits, even if it saves no time.
    """

    def __init__(
        self,
        teacher: Teacher,
        plan: BatchPlan,
        *,
        cache_dir: Path,
        key: str,
        passes: float,
        budget: float,
        progress: Progress,
        disabled_reason: str = "",
        always: bool = False,
    ) -> None:
        self._teacher, self._plan, self._passes, self._budget = teacher, plan, passes, budget
        self._folder, self._progress, self._tally = cache_dir / key, progress, Tally()
        self._key, self._always = key, always
        self._kept: CachedFeatures | None = None
        self._probes: list[tuple[int, float, float, float]] = []
        self._tokens = int(plan.lengths.sum(dtype=np.int64))
        self._memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._decided: Decision | None = None
        if disabled_reason:
            self._conclude(Decision(False, f"teacher features recomputed: {disabled_reason}"))
        elif not (budget and self._open_earlier()):
            self._refuse_early(0)
        self._numbers = np.zeros(len(plan.lengths), np.int32)
        for number, rows in enumerate(plan.batches if self._decided is None or self._kept else ()):
            self._numbers[rows] = number

    def __call__(self, batch: Batch, rows: NDArray[np.int64]) -> Seen:
        """Return the features of a batch, from the cache or from the teacher.

        Args:
            batch: model inputs on the device.
            rows: (rows,), row indices of the batch, in order.
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
        """Share of the batches that the teacher computed, 0 to 1."""
        batches = self._tally.batches
        return batches["computed"] / max(1, batches["computed"] + batches["read"])

    def record(self) -> dict[str, Any]:
        """Return the decision, and the batches and seconds by what was done, for the manifest."""
        decision = self._decided or Decision(False, "teacher features recomputed: the training was over first")
        return {
            "stored": decision.store,
            "key": self._key,
            "reason": decision.reason,
            "bytes": disk_bytes(self._folder) if decision.store else 0,
            "batches": self._tally.batches,
            "seconds": self._tally.seconds,
        }

    def _open_earlier(self) -> bool:
        """Open the cache of an earlier run, if there is one within the budget; return whether there is."""
        try:
            description = json.loads((self._folder / DESCRIPTION).read_bytes())
            layout = Layout.from_json(description["columns"])
            size = self._tokens * layout.width * 4
            if size > self._budget:
                return False
            os.utime(self._folder)  # used now
        except (OSError, ValueError, KeyError, TypeError):
            return False
        self._kept = self._features_on_disk(layout)
        share = f"{100 * self._kept.table.stored:.0f}% of {size / GB:.3g} GB"
        self._conclude(Decision(True, f"teacher features of an earlier run are read: {share} are there"))
        return True

    def _features_on_disk(self, layout: Layout) -> CachedFeatures:
        tokens = [int(self._plan.lengths[rows].sum()) for rows in self._plan.batches]
        return CachedFeatures(layout, FeatureTable(self._folder, tokens, layout.width))

    def _refuse_early(self, bytes_per_token: int) -> bool:
        """Decide against caching if it could not save time even if the disk took none; return whether so."""
        decision = self._decision(bytes_per_token, 1.0, 0.0, 0.0)
        if not decision.store:
            self._conclude(decision)
        return not decision.store

    def _decision(self, bytes_per_token: int, teacher: float, write: float, read: float) -> Decision:
        cache_dir = self._folder.parent
        there = next(path for path in (cache_dir, *cache_dir.absolute().parents) if path.exists())
        return caching_pays(
            tokens=self._tokens,
            bytes_per_token=bytes_per_token,
            passes=self._passes,
            budget=self._budget,
            free=shutil.disk_usage(there).free + disk_bytes(cache_dir),  # older stores make room
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
        """Compute, write and read back a batch with timing, and decide once enough batches are timed."""
        features, computed = self._compute(batch, wait=True)
        if self._kept is None:
            layout = Layout.of(features)
            if self._refuse_early(4 * layout.width):
                return features
            self._kept = self._features_on_disk(layout)
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

    def _decide(self, kept: CachedFeatures) -> None:
        tokens, *seconds = np.sum(self._probes[1:] or self._probes, axis=0).tolist()
        size = 4 * kept.layout.width
        teacher, write, read = (spent / max(1, tokens) for spent in seconds)
        decision = self._decision(size, teacher, write / size, read / size)
        if decision.store:
            make_room(self._folder.parent, int(self._tokens * size), int(self._budget), keep=self._folder)
            description = {"columns": kept.layout.to_json(), "reason": decision.reason}
            write_atomic(self._folder / DESCRIPTION, json.dumps(description, indent=1).encode())
        else:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._conclude(decision)

    def _stop(self, error: OSError) -> None:
        """Delete this cache and compute from now on: it cannot be written any more."""
        shutil.rmtree(self._folder, ignore_errors=True)
        why = error.strerror or error
        self._conclude(Decision(False, f"teacher features recomputed: they cannot be stored any more ({why})"))

    def _compute(self, batch: Batch, *, wait: bool = False) -> tuple[Seen, float]:
        """Compute a batch's features; return them and the seconds.

        Args:
            batch: model inputs on the device.
            wait: wait for the GPU, so that the seconds are those of the whole computation.
        """
        now = time.perf_counter()
        features = self._teacher(batch)
        if wait and batch["input_ids"].is_cuda:
            torch.cuda.synchronize(batch["input_ids"].device)
        return features, self._tally.add("computed", now)

    def _read(self, kept: CachedFeatures, number: int, batch: Batch) -> Seen | None:
        now = time.perf_counter()
        features = kept.read(number, batch)
        if features is not None:
            self._tally.add("read", now)
        return features

    def _write(self, kept: CachedFeatures, number: int, features: Seen, batch: Batch) -> float:
        now = time.perf_counter()
        kept.write(number, features, batch)
        return self._tally.add("written", now)
