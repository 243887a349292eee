"""A cache of what a teacher shows of the rows: where it lies, and the key that holds all it depends on.

Stored features lie under ``<store>/.teacher-store/<key>/``. They are a cache and no artifact: the key holds
everything they depend on to the last bit, so reading them equals recomputing, and deleting them costs time
only.
"""

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import distributed

from pipeline.config.builtin import home_path
from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan
from pipeline.device.host import host
from pipeline.engine.guides.decision import GB
from pipeline.engine.guides.frozen import FrozenTeacher
from pipeline.engine.guides.stored import StoredTeacher
from pipeline.store.artifact import load_artifact
from pipeline.store.fingerprint import canonical, digest_bytes
from pipeline.store.stage import StageRun

SHELF = ".teacher-store"
KEY_VERSION = 2  # raise it when features were stored under keys that did not hold all they depend on


def num_passes(config: TrainingConfig, batches: int) -> float:
    """How often a training goes over its rows."""
    if config.max_steps is None or not batches:
        return float(config.epochs)
    return min(float(config.epochs), config.max_steps * config.gradient_accumulation / batches)


def stored_teacher(
    teacher: FrozenTeacher,
    plan: BatchPlan,
    training: TrainingConfig,
    run: StageRun,
    *,
    rows: str,
    counts_padding: bool,
    chosen: NDArray[np.int64] | None = None,
) -> StoredTeacher:
    """A teacher whose features are stored under this store, if that is possible and pays.

    Args:
        teacher: is asked for what is not stored.
        plan: the batches.
        training: says how often they come.
        run: the stage that trains.
        rows: role of the artifact the rows come from.
        counts_padding: whether padding counts in the means of the losses.
        chosen: the rows of that artifact that the batches are made of; all of them when None.
    """
    budget = run.runtime.teacher_store_gb * GB
    never = _obstacle(plan, counts_padding=counts_padding, dropout=teacher.dropout)
    source = load_artifact(run.artifact(rows)).manifest.digest
    return StoredTeacher(
        teacher,
        plan,
        shelf=home_path(run.runtime.store) / SHELF,
        key=feature_key(teacher, plan, source, chosen) if budget and not never else "",
        passes=num_passes(training, len(plan)),
        budget=budget,
        progress=run.progress,
        never=never,
        always=run.runtime.teacher_store == "always",
    )


def _obstacle(plan: BatchPlan, *, counts_padding: bool, dropout: bool) -> str:
    """Why features of these batches cannot be read back as they would be computed; empty if they can."""
    if dropout:
        return "the teacher's dropout is on"
    if counts_padding:
        return "padding counts, which is not stored"
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        return "several processes share each batch"
    return "" if plan.fixed else "drop_last draws other batches each epoch"


def feature_key(teacher: FrozenTeacher, plan: BatchPlan, source: str, chosen: NDArray[np.int64] | None = None) -> str:
    """Digest of all that the last bit of a feature depends on.

    Args:
        teacher: what is read, known by its own identity.
        plan: the batches.
        source: digest of the artifact that holds the rows.
        chosen: as for ``stored_teacher``.
    """
    shape = [plan.pad_to or 0, *(len(batch) for batch in plan.batches)]
    return digest_bytes(
        canonical(
            {
                "version": KEY_VERSION,
                "teacher": dict(teacher.identity),
                "rows": source,
                "chosen": None if chosen is None else digest_bytes(chosen.astype(np.int64).tobytes()),
                "batches": digest_bytes(np.concatenate([shape, *plan.batches]).astype(np.int64).tobytes()),
                "device": [teacher.device.type, *_processor(teacher.device), torch.get_num_threads()],
                "versions": [torch.__version__, transformers.__version__],
            }
        )
    )[:32]


def _processor(device: torch.device) -> list[str]:
    """What decides how a product is rounded: the GPU, or the processor and the instructions it has."""
    if device.type == "cuda":
        return [torch.cuda.get_device_name(device)]
    own = host()
    return [torch.backends.cpu.get_cpu_capability(), own.cpu, *own.instructions]
