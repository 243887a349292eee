"""Build the cached teacher of a training: the folder of its features, and the key that identifies them.

Features are stored under ``<store>/.teacher-store/<key>/``. They are a cache, not an artifact: the key is a digest
of everything that their last bit depends on, so reading them equals computing them again, and deleting them
costs only time.
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
from pipeline.engine.guides.frozen import FrozenTeacher
from pipeline.engine.teacher_cache.cached_teacher import CachedTeacher
from pipeline.engine.teacher_cache.decision import GB
from pipeline.store.artifact import load_artifact
from pipeline.store.fingerprint import canonical, digest_bytes
from pipeline.store.stage import StageRun

CACHE_DIR = ".teacher-store"
KEY_VERSION = 2  # raise it when the key turns out to miss something that the features depend on


def num_passes(config: TrainingConfig, batches: int) -> float:
    """Return the number of epochs of a training; a fraction if ``max_steps`` ends it within one.

    Args:
        config: epochs, max_steps and gradient accumulation.
        batches: number of batches an epoch.
    """
    if config.max_steps is None or not batches:
        return float(config.epochs)
    return min(float(config.epochs), config.max_steps * config.gradient_accumulation / batches)


def cached_teacher(
    teacher: FrozenTeacher,
    plan: BatchPlan,
    training: TrainingConfig,
    run: StageRun,
    *,
    rows: str,
    counts_padding: bool,
    chosen: NDArray[np.int64] | None = None,
) -> CachedTeacher:
    """Build a teacher that caches its features in the run's store, if that is possible and saves time.

    Args:
        teacher: computes the features that are not cached.
        plan: the batches of the training.
        training: number of epochs or steps.
        run: the stage that trains.
        rows: role of the input artifact that holds the rows.
        counts_padding: whether the losses' means include padding; then nothing can be cached.
        chosen: (rows,), indices of the rows of that artifact that the batches use; None uses all.
    """
    budget = run.runtime.teacher_store_gb * GB
    disabled_reason = _disabled_reason(plan, counts_padding=counts_padding, dropout=teacher.dropout)
    source = load_artifact(run.artifact(rows)).manifest.digest
    return CachedTeacher(
        teacher,
        plan,
        cache_dir=home_path(run.runtime.store) / CACHE_DIR,
        key=feature_key(teacher, plan, source, chosen) if budget and not disabled_reason else "",
        passes=num_passes(training, len(plan)),
        budget=budget,
        progress=run.progress,
        disabled_reason=disabled_reason,
        always=run.runtime.teacher_store == "always",
    )


def _disabled_reason(plan: BatchPlan, *, counts_padding: bool, dropout: bool) -> str:
    """Return why cached features of these batches would differ from computed ones; "" if they would not."""
    if dropout:
        return "the teacher's dropout is on"
    if counts_padding:
        return "padding counts, which is not stored"
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        return "several processes share each batch"
    return "" if plan.fixed else "drop_last draws other batches each epoch"


def feature_key(teacher: FrozenTeacher, plan: BatchPlan, source: str, chosen: NDArray[np.int64] | None = None) -> str:
    """Return a digest (32 hexadecimal digits) of everything that the last bit of a feature depends on.

    Args:
        teacher: its ``identity`` covers weights, taps, precision and compilation.
        plan: the batches; a batch's shape decides how sums are rounded.
        source: digest of the artifact that holds the rows.
        chosen: (rows,), as for ``cached_teacher``.
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
    """Return what decides how a product is rounded: the GPU, or the processor and its instruction sets."""
    if device.type == "cuda":
        return [torch.cuda.get_device_name(device)]
    own = host()
    return [torch.backends.cpu.get_cpu_capability(), own.cpu, *own.instructions]
