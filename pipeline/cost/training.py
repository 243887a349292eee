"""Share of a stage that trains: it is rehearsed for two passes over a few batches."""

from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pipeline.config.models import StudentConfig
from pipeline.config.terms import AttentionTerm
from pipeline.config.training import TrainingConfig
from pipeline.cost.arithmetic import Load, Pass, StageCost, checkpoint_seconds, evaluations, training_seconds, warm_pass
from pipeline.cost.context import RehearsalContext
from pipeline.cost.rehearsal import Rehearsed
from pipeline.cost.samples import sample_corpus
from pipeline.cost.sizes import Lengths, Small, batches, place_of_training, total_steps, training_of
from pipeline.cost.task_rows import NO_ROWS
from pipeline.data.tokens.table import TokenTable
from pipeline.distillation.layer_map import layer_map
from pipeline.engine.student_identity import folder
from pipeline.engine.teacher_cache.decision import GB, caching_pays
from pipeline.models.load import load_config
from pipeline.models.source import ModelSource
from pipeline.store.stage import Stage

WEIGHTS_IN_CHECKPOINT = 3  # the weights and AdamW's two moments
CHECKPOINTS_KEPT = 2
FLOAT_BYTES = 4
ONCE = {"evaluations_per_epoch": 1.0, "restarts": 1}  # in a rehearsal, where the configuration has such a field


@dataclass(frozen=True)
class Read:
    """The rows that a training reads.

    Attributes:
        here: (rows,), lengths in tokens of the rehearsal's rows.
        there: (sample,), lengths of the real rows, or of a sample of them.
        rows: number of real rows.
        longest: length that rows are padded to, if the configuration pads to a fixed length.
        inputs: role -> folder of a shrunk input.
    """

    here: Lengths
    there: Lengths
    rows: float
    longest: int
    inputs: dict[str, Path]


def share(context: RehearsalContext, stage: Stage[Any]) -> StageCost:
    """Rehearse a training and estimate the cost of the real one."""
    method, real = _method(stage.config), training_of(stage.config)
    on_task, of_teacher = "task_data" in stage.inputs, not hasattr(stage.config, "students")
    scored = on_task and (not hasattr(method, "terms") or method.terms.reads_rows)
    shrunk, read = (_task_rows if on_task else _corpus_rows)(context, stage)
    done = context.rehearse(stage, _with_training(stage.config, shrunk.config), **read.inputs)
    (speed,) = [value for key, value in done.metrics.items() if key.endswith("_speed")]
    of_pass = batches(read.here, len(read.here), shrunk.config, max_length=read.longest)
    rehearsed = warm_pass(done.marks, of_pass.steps, of_pass.tokens, speed, done.seconds, int(scored))
    of_real_pass = batches(read.there, read.rows, real, max_length=read.longest)
    steps = total_steps(real, of_real_pass.steps)
    per_epoch = getattr(method, "evaluations_per_epoch", 1.0)
    _, dev, real_dev = context.rows.tokens_of("dev") if scored else (0.0, 1.0, 1.0)
    weights = sum(path.stat().st_size for path in done.folder.rglob("*.safetensors"))
    load = Load(
        tokens=of_real_pass.tokens,
        steps=of_real_pass.steps,
        total_steps=steps,
        evaluations=evaluations(of_real_pass.steps, steps, per_epoch) if scored else 0,
        dev_share=real_dev / dev,
        checkpoint_bytes=weights * (WEIGHTS_IN_CHECKPOINT + int(scored)),
        checkpoint_every=context.config.runtime.checkpoint_seconds,
        checkpoint_share=context.config.runtime.checkpoint_share,
        stored_bytes=_stored_bytes(context, stage, rehearsed, steps / max(1, of_real_pass.steps), read),
        repeats=getattr(stage.config, "restarts", 1),
    )
    seconds = training_seconds(rehearsed, load, context.machine)
    if scored:
        seconds += context.rows.reading_seconds("dev", *(() if "rows" in stage.inputs else ("train",)))
    if scored and of_teacher:  # the saved teacher is scored once more
        seconds += max(0.0, load.dev_share - 1) * rehearsed.score_seconds
    kept = CHECKPOINTS_KEPT if checkpoint_seconds(seconds, load, context.machine) else 0
    return context.cost(
        stage,
        done,
        f"{steps:,} steps of {of_real_pass.tokens / max(1, of_real_pass.steps):,.0f} tokens, "
        f"{2 * of_pass.steps} timed{', teacher stored' if load.stored_bytes else ''}",
        seconds=seconds,
        scratch_bytes=kept * load.checkpoint_bytes + load.stored_bytes,
        peak_bytes=_peak(done, shrunk, weights),
    )


def _method(config: BaseModel) -> Any:
    """Return the part of a stage's configuration that holds its training: the whole of it, or one of its fields."""
    return reduce(getattr, place_of_training(config)[:-1], config)


def _with_training(config: Any, training: TrainingConfig) -> Any:
    """Return a stage's configuration with another training, done once and scored once an epoch."""
    method, (*outer, last) = _method(config), place_of_training(config)
    once = {name: value for name, value in ONCE.items() if hasattr(method, name)}
    changed = method.model_copy(update={last: training, **once})
    return config.model_copy(update={outer[0]: changed}) if outer else changed


def _corpus_rows(context: RehearsalContext, stage: Stage[Any]) -> tuple[Small, Read]:
    """Shrink a training on the corpus, and draw its sequences."""
    lengths, rows = context.corpus
    longest = int(lengths.max())
    shrunk = context.small(stage, lengths, longest)
    corpus, seed = context.artifacts["corpus"], context.config.seed
    some = context.sealed("corpus", lambda output: sample_corpus(corpus, output, shrunk.rows, seed))
    return shrunk, Read(TokenTable.open(some / "tokens").lengths, lengths, rows, longest, {"corpus": some})


def _task_rows(context: RehearsalContext, stage: Stage[Any]) -> tuple[Small, Read]:
    """Shrink a training on the task, or on the transfer set with the teacher's logits."""
    task = context.rows
    here, there, rows = task.here["train"], task.there["train"], float(task.rows["train"])
    shrunk = context.small(stage, there, task.max_length)
    inputs, transfer = {"task_data": task.folder}, stage.inputs.get("rows")
    if isinstance(transfer, Stage):
        inputs["rows"] = context.shrunk(transfer)
        phase = stage.config.phase
        if not phase.terms.gold_alone or stage.config.labels == "origin":
            here, there, rows = task.transfer(context.variants if phase.augmented else NO_ROWS)
    return shrunk, Read(here, there, rows, task.max_length, inputs)


def _peak(done: Rehearsed, shrunk: Small, weights: int) -> float:
    """Estimate the peak memory in bytes with real batches: activations grow with the batch, weights do not."""
    fixed = done.before_bytes + (WEIGHTS_IN_CHECKPOINT + 1) * weights
    return done.peak_bytes + (shrunk.larger_batches - 1) * max(0, done.peak_bytes - fixed)


def _stored_bytes(context: RehearsalContext, stage: Stage[Any], rehearsed: Pass, passes: float, read: Read) -> float:
    """Return the size of the teacher's features if the run would cache them, else 0."""
    method = _method(stage.config)
    terms: Any = getattr(method, "terms", None)
    stores = terms is not None and terms.reads("layers") and not terms.counts_padding and passes > 1
    if not stores or getattr(method, "teacher_dropout", False) or training_of(stage.config).drop_last:
        return 0.0
    tokens = float(read.there.mean()) * read.rows
    width = _features(context, stage.config.students, context.artifacts[stage.name], terms.of(AttentionTerm))
    decision = caching_pays(
        tokens=round(tokens),
        bytes_per_token=width * FLOAT_BYTES,
        passes=passes,
        budget=context.config.runtime.teacher_store_gb * GB,
        free=context.free_bytes,
        teacher_seconds=rehearsed.teacher_seconds / max(1.0, rehearsed.tokens),
        write_seconds=context.machine.write_seconds,
        read_seconds=context.machine.read_seconds,
    )
    return tokens * width * FLOAT_BYTES if decision.store else 0.0


def _features(context: RehearsalContext, students: tuple[StudentConfig, ...], artifact: Path, attention: bool) -> int:
    """Return how many numbers are cached for one token: embedding, mapped hidden states, queries and keys."""
    layers: set[int] = set()
    teacher = context.teacher.config
    for student in students:
        own = load_config(ModelSource(str(folder(artifact, student))))
        layers |= set(layer_map(student.layer_map, own.num_hidden_layers, teacher.num_hidden_layers))
    width: int = teacher.hidden_size
    return width * (1 + len(layers) * (3 if attention else 1))
