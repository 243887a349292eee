"""What the evaluation will cost: predictions of the dev rows, the yardstick of word counts, and latencies."""

import time
from typing import TYPE_CHECKING

from pipeline.config.evaluation import EvaluationConfig
from pipeline.stages.cost.arithmetic import StageCost
from pipeline.stages.cost.samples import sample_task
from pipeline.stages.cost.task import dev_seconds
from pipeline.stages.cost.task_rows import TaskRows

if TYPE_CHECKING:
    from pipeline.stages.cost.scene import Scene

COUNTED_ROWS = 2_000
REPEATS = 1
TEXTS = ("text", "text_pair")


def evaluation_cost(scene: "Scene", found: TaskRows) -> StageCost:
    """What the evaluation of a run will cost.

    The stage is rehearsed without latencies and word counts on two numbers of dev rows; these two are timed by
    themselves, fewer repeats and at most ``COUNTED_ROWS`` rows.
    """
    stage = scene.stages["evaluation"]
    wanted = stage.config.evaluation
    short = wanted.model_copy(update={"tfidf": False, "latency_lengths": (8,), "latency_batches": (1,)})
    config = stage.config.model_copy(update={"evaluation": short})
    less, more = (scene.rehearse("evaluation", config, task_data=folder) for folder in (found.smaller, found.folder))
    scene.artifacts["evaluation"] = more.folder
    seconds = dev_seconds(found, less.seconds, more.seconds) + _latency_seconds(scene, wanted)
    if wanted.tfidf:
        seconds += _tfidf_seconds(scene, found)
    return StageCost(
        "evaluation",
        scene.action("evaluation"),
        seconds=seconds,
        disk_bytes=more.output_bytes,
        peak_bytes=more.peak_bytes,
        basis=f"{found.rows['dev']:,} dev rows, {len(found.here['dev']):,} timed",
    )


def _latency_seconds(scene: "Scene", wanted: EvaluationConfig) -> float:
    """Seconds of the latencies of every model, from fewer repeats of each."""
    from inspect import signature

    from pipeline.evaluation.latency import WARM_UP, measure_latency
    from pipeline.models.load import ModelSource, load_finetuned
    from pipeline.stages.engine import placed

    folders = [scene.artifacts["teacher"] / "model"]
    for name in ("prediction", "label_only"):
        if name in scene.artifacts:
            folders += sorted((scene.artifacts[name] / "students").iterdir())
    models = {str(folder): placed(load_finetuned(ModelSource(str(folder))), scene.runtime) for folder in folders}
    vocabulary = min(model.config.vocab_size for model in models.values())
    clock = time.perf_counter()
    measure_latency(
        models, wanted.latency_lengths, wanted.latency_batches, vocab_size=vocabulary, seed=0, repeats=REPEATS
    )
    repeats = signature(measure_latency).parameters["repeats"].default
    return (time.perf_counter() - clock) * (WARM_UP + repeats) / (WARM_UP + REPEATS)


def _tfidf_seconds(scene: "Scene", found: TaskRows) -> float:
    """Seconds of the word counts of all training rows, from those of some; its library's import comes first."""
    from pipeline.data.task_table import load_task

    clock = time.perf_counter()
    from pipeline.evaluation.baseline import tfidf_baseline

    imported = time.perf_counter() - clock
    task = load_task(found.whole)
    splits = sample_task(task, {"train": COUNTED_ROWS}, scene.config.seed).splits
    texts = {
        split: list(zip(*(splits[split][name].to_pylist() for name in TEXTS[: 1 + task.pair]), strict=True))
        for split in ("train", "dev")
    }
    clock = time.perf_counter()
    tfidf_baseline(texts["train"], splits["train"]["label"].to_numpy(), texts["dev"], kind=task.kind)
    return imported + (time.perf_counter() - clock) * found.rows["train"] / splits["train"].num_rows
