"""The context of a rehearsal: the run's stages, the artifacts they read, and a temporary store to run them in.

What several stages need to know, such as the lengths of the task's rows, is a property, computed on first use.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
from pyarrow import parquet
from transformers import PretrainedConfig, PreTrainedModel

from pipeline.config.run import RunConfig
from pipeline.config.runtime import Runtime
from pipeline.cost.arithmetic import Machine, StageCost
from pipeline.cost.rehearsal import Rehearsed, probe_model, rehearse
from pipeline.cost.samples import sample_task
from pipeline.cost.sizes import Lengths, Small, place_of_training, small_training, training_of
from pipeline.cost.task_rows import NO_ROWS, SMALLER, Sample, TaskRows, lengths_of
from pipeline.data.tasks.table import load_task, save_task
from pipeline.data.tokens.table import TokenTable
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.inputs import model_source
from pipeline.engine.run_training import placed
from pipeline.models.load import load_encoder
from pipeline.models.mlm import build_masked_lm
from pipeline.models.source import ModelSource
from pipeline.store.artifact import load_artifact
from pipeline.store.source import Source, pinned
from pipeline.store.stage import Stage
from pipeline.store.store import Store

NEVER = 1e9  # seconds
FEW_ROWS, MANY_DEV_ROWS = 32, 512
TYPICAL_ROWS = 2_000  # are tokenised, to know how long rows are
TRAINING_SECONDS, OTHER_SECONDS = 5.0, 3.0  # of each rehearsal, about
# Forward passes of the teacher that a training step takes, about: of the teacher itself, and of students with it.
TEACHER_FORWARDS, STUDENT_FORWARDS = 3.0, 2.0


@dataclass(frozen=True)
class Teacher:
    """The pretrained teacher.

    Attributes:
        config: its shape.
        token_seconds: rough seconds of its forward pass for one token.
    """

    config: PretrainedConfig
    token_seconds: float


@dataclass
class RehearsalContext:
    """What the rehearsed stages share.

    Attributes:
        config: configuration of the run.
        stages: stage name -> the run's stage.
        actions: stage name -> what the run would do with it: "reuse", "resume" or "run".
        store: temporary store of the rehearsal.
        machine: measured speed of the disk.
        artifacts: stage name -> folder of its artifact, from the real store if finished there, else rehearsed.
        scale: stage name -> size of its real artifact divided by that of a rehearsed one in ``artifacts``, if not 1.
        notes: remarks to print beside the figures.
    """

    config: RunConfig
    stages: Mapping[str, Stage[Any]]
    actions: Mapping[str, str]
    store: Store
    machine: Machine
    artifacts: dict[str, Path]
    scale: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def cost_of(self, stage: Stage[Any]) -> StageCost:
        """Rehearse a stage and estimate its cost, by its own module if it names one; else it is rehearsed whole."""
        if not stage.cost:
            return self.cost(stage, self.rehearse(stage), "done for real")
        share: Callable[[RehearsalContext, Stage[Any]], StageCost] = import_module(stage.cost).share
        return share(self, stage)

    def cost(self, stage: Stage[Any], done: Rehearsed, basis: str, **figures: float) -> StageCost:
        """Return the cost of a stage.

        Args:
            stage: the stage.
            done: its rehearsal.
            basis: what the figures rest on, in a few words.
            figures: fields of ``StageCost`` that differ from the rehearsal.
        """
        measured = {"seconds": done.seconds, "disk_bytes": done.output_bytes, "peak_bytes": done.peak_bytes}
        return StageCost(stage.name, self.actions[stage.name], basis=basis, **(measured | figures))

    def rehearse(self, stage: Stage[Any], config: Any = None, **instead: Path | tuple[Path, ...] | None) -> Rehearsed:
        """Run a stage in the temporary store; later stages read the artifact.

        Args:
            stage: the stage.
            config: its configuration, shrunk for the rehearsal; None for the real one.
            instead: role -> what to use as this input; None leaves the role out.
        """
        given = self.inputs(stage) | instead
        inputs = {role: paths for role, paths in given.items() if paths is not None}
        done = rehearse(stage, stage.config if config is None else config, inputs, self.store, self._runtime)
        self.artifacts[stage.name] = done.folder
        return done

    def inputs(self, stage: Stage[Any]) -> dict[str, Path | tuple[Path, ...] | None]:
        """Return role -> folder of an artifact, or the paths of a source."""
        return {
            role: tuple(map(Path, pinned(given).paths)) if isinstance(given, Source) else self.artifacts[given.name]
            for role, given in stage.inputs.items()
        }

    def shrunk(self, stage: Stage[Any]) -> Path:
        """Return a stage's artifact made from the shrunk tables of the task; if it is finished, rehearse it as well."""
        if not self.artifacts[stage.name].is_relative_to(self.store.root):
            self.cost_of(stage)
        return self.artifacts[stage.name]

    def sealed(self, name: str, make: Callable[[Path], None]) -> Path:
        """Seal an artifact of a stage whose content is written by ``make``; return its folder.

        Args:
            name: name of the stage.
            make: (output folder) -> None, writes the files.
        """
        stage = replace(self.stages[name], run=lambda _config, run: make(run.output))
        return rehearse(stage, stage.config, {}, self.store, self._runtime).folder

    @cached_property
    def corpus(self) -> Sample:
        """Lengths of the corpus's sequences, or of some, and how many there will be."""
        lengths = TokenTable.open(self.artifacts["corpus"] / "tokens").lengths
        return lengths, len(lengths) * self.scale.get("corpus", 1.0)

    @cached_property
    def rows(self) -> TaskRows:
        """The rows of the task, and those of the rehearsal: as many as this machine computes in time."""
        task, seed = load_task(self.artifacts["task_data"]), self.config.seed
        typical = sample_task(task, dict.fromkeys(task.splits, TYPICAL_ROWS), seed)
        there, seconds_a_row = lengths_of(typical.splits, self._pretrained, self.store.root, task.max_length)
        counts = self._shrunk_counts(there, task.max_length)
        few = sample_task(task, counts, seed)
        fewer = sample_task(few, {split: max(1, rows // SMALLER) for split, rows in counts.items()}, seed)
        folder, smaller = (self.sealed("task_data", partial(save_task, some)) for some in (few, fewer))
        here, _ = lengths_of(few.splits, self._pretrained, self.store.root, task.max_length)
        rows = {split: table.num_rows for split, table in task.splits.items()}
        return TaskRows(folder, smaller, rows, here, there, seconds_a_row, task.max_length)

    def _shrunk_counts(self, typical: dict[str, Lengths], longest: int) -> dict[str, int]:
        """Return how many rows of each split the rehearsal needs, for its trainings on the task."""
        trainings = [
            stage
            for stage in self.stages.values()
            if self.actions[stage.name] != "reuse" and "task_data" in stage.inputs and place_of_training(stage.config)
        ]

        def most(*, transfer: bool) -> int:
            some = [stage for stage in trainings if ("rows" in stage.inputs) == transfer]
            return max([FEW_ROWS, *(self.small(stage, typical["train"], longest).rows for stage in some)])

        train, transfer = most(transfer=False), most(transfer=True)
        dev = self.affordable(float(typical["dev"].mean()), MANY_DEV_ROWS)
        counts = {split: dev for split in typical if split.startswith(("dev", "test"))}
        if "unlabelled" in typical:
            return {**counts, "train": train, "unlabelled": max(FEW_ROWS, transfer - train)}
        return {**counts, "train": max(train, transfer)}

    @cached_property
    def variants(self) -> Sample:
        """Lengths of some variants of the task's rows, and how many there will be; longer rows have more of them."""
        if "augmentation" not in self.artifacts:
            return NO_ROWS
        folder = self.artifacts["augmentation"]
        table = parquet.read_table(folder / "variants.parquet")
        if not table.num_rows:
            return NO_ROWS
        some = np.random.default_rng(self.config.seed).permutation(table.num_rows)[:TYPICAL_ROWS]
        table = table.take(np.sort(some)).rename_columns({"origin_id": "row_id"})
        lengths, _ = lengths_of({"variants": table}, self._pretrained, self.store.root, self.rows.max_length)
        return lengths["variants"], load_artifact(folder).metrics["variants"] * self.scale.get("augmentation", 1.0)

    @cached_property
    def teacher(self) -> Teacher:
        """The pretrained teacher, timed: as the run makes it, or before it does, as it begins."""
        pretrain = self.config.pretrain
        if "pretrain" not in self.artifacts and pretrain is not None and pretrain.architecture is not None:
            words = load_tokenizer(str(self.artifacts["corpus"] / "tokenizer"))
            model = build_masked_lm(
                pretrain.architecture,
                vocab_size=len(words),
                pad_token_id=words.pad_token_id,
                max_length=pretrain.max_length,
            )
            encoder = cast("PreTrainedModel", model.base_model)
        else:
            encoder = load_encoder(self._pretrained)
        return Teacher(encoder.config, probe_model(placed(encoder, self._runtime)))

    @property
    def _pretrained(self) -> ModelSource:
        """Where the pretrained teacher and its tokenizer are."""
        if "pretrain" in self.artifacts:
            return ModelSource(str(self.artifacts["pretrain"] / "model"))
        teacher = self.config.teacher
        return ModelSource(*pinned(model_source(teacher.model or "", teacher.revision)).paths)

    def small(self, stage: Stage[Any], lengths: Lengths, longest: int) -> Small:
        """Shrink a stage's training so that rehearsing it takes about ``TRAINING_SECONDS`` on this machine.

        Args:
            stage: the stage.
            lengths: (rows,), tokens of some of its rows.
            longest: most tokens that a row has.
        """
        return small_training(
            training_of(stage.config),
            tokens_a_row=float(lengths.mean()),
            max_length=longest,
            seconds_a_token=self.teacher.token_seconds
            * (STUDENT_FORWARDS if hasattr(stage.config, "students") else TEACHER_FORWARDS),
            budget=TRAINING_SECONDS,
        )

    def affordable(self, tokens_a_row: float, most: int) -> int:
        """Return how many rows the teacher computes in about ``OTHER_SECONDS``, from ``FEW_ROWS`` to ``most``."""
        return int(min(most, max(FEW_ROWS, OTHER_SECONDS / (self.teacher.token_seconds * tokens_a_row))))

    @property
    def _runtime(self) -> Runtime:
        """The run's settings, without checkpoints and without cached teacher features."""
        return self.config.runtime.model_copy(
            update={"store": str(self.store.root), "checkpoint_seconds": NEVER, "teacher_store_gb": 0.0}
        )

    @property
    def free_bytes(self) -> float:
        """Free bytes of the disk that holds the real store."""
        root = Path(self.config.runtime.store).expanduser().absolute()
        there = next(path for path in (root, *root.parents) if path.exists())
        return float(shutil.disk_usage(there).free)
