"""What each way of asking the masked LM costs in student accuracy: dev scores, with paired confidence intervals.

    python benchmarks/augmentation/contexts.py TEACHER glue/SST-2 glue/MRPC --set task.train_rows=4000

TEACHER is a folder with a masked-LM head; it proposes the words and, fine-tuned on each task, teaches. For each task
and seed the real stages run: teacher, candidates, variants, the teacher's logits, both phases of the student. All
ways of one seed share their teacher and start from the same student. ``none`` has no variants, but as many epochs
more as it has rows fewer. All is kept in the store, so a measurement that was stopped goes on.

Intervals are percentiles over resamples of the dev rows, all students judged on the same resamples; scores are means
over the seeds first. They speak of other dev rows, not of other seeds: look at the seeds' own scores beside them.
"""

import argparse
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.load import load_config
from pipeline.data.tasks.glue import GLUE
from pipeline.data.tasks.table import TaskData, load_task
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.inference import predict_logits, predicted_labels
from pipeline.engine.rows import write_rows
from pipeline.engine.run_training import placed
from pipeline.engine.scoring import scoring
from pipeline.evaluation.bootstrap import interval, resampled_scores
from pipeline.evaluation.metrics import compute_metrics, main_metric
from pipeline.models.load import load_finetuned
from pipeline.models.source import ModelSource
from pipeline.progress import Silent
from pipeline.stages.graph import two_stage
from pipeline.store.artifact import Artifact
from pipeline.store.materialize import materialize
from pipeline.store.store import Store

SETTING = Path(__file__).with_suffix(".yaml")
RESAMPLES, LEVEL = 10_000, 0.95
PAPER, NONE = "paired", "none"
WAYS: dict[str, tuple[str, ...]] = {
    PAPER: ("augmentation.context=paired",),
    "paired, 3 masks": ("augmentation.context=paired", "augmentation.masks_per_forward=3"),
    "paired, all masks": ("augmentation.context=paired", "augmentation.masks_per_forward=all"),
    "masked": ("augmentation.context=masked",),
    "unmasked": ("augmentation.context=unmasked",),
    NONE: ("augmentation=null",),
}
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """One student: what it says of the dev rows, and what is known of the variants it learned from."""

    predictions: NDArray[Any]
    quality: dict[str, Any] | None
    seconds: float | None


class Chain:
    """The stages of one task and one seed, in a store."""

    def __init__(self, asked: argparse.Namespace, folder: str, seed: int) -> None:
        name = Path(folder).name.lower().replace("-", "")
        files = (f"task.dir={folder}",) if name in GLUE else own_files(Path(folder))
        self._given = [
            *(f"teacher.model={asked.teacher}", f"task.name={name}", *files),
            *(f"seed={seed}", f"runtime.store={asked.store}", *asked.set),
        ]

    def finish(self, *changes: str) -> dict[str, Artifact]:
        """The artifacts of a run up to its students, by stage."""
        config = load_config(str(SETTING), [*self._given, *changes])
        store = Store(config.runtime.store)
        return {
            stage.name: materialize(stage, store, config.runtime, Silent()).artifact
            for stage in two_stage(config, "prediction")
        }

    def epochs(self, times: float) -> list[str]:
        """Overrides that make both phases so many times as long."""
        config = load_config(str(SETTING), self._given)
        return [
            f"phases.{phase.name}.training.epochs={max(1, round(phase.training.epochs * times))}"
            for phase in config.phases
        ]

    def predict(self, model: Path, task: TaskData) -> NDArray[Any]:
        """What a fine-tuned model says of the dev rows."""
        tokenizer = load_tokenizer(str(model))
        runtime = load_config(str(SETTING), self._given).runtime
        with TemporaryDirectory() as scratch:
            rows = write_rows(
                Path(scratch), [task.splits["dev"]], tokenizer, max_length=task.max_length, progress=Silent()
            )
            loaded = placed(load_finetuned(ModelSource(str(model))), runtime)
            return predicted_labels(task, predict_logits(loaded, rows, pad_id=tokenizer.pad_token_id))


def own_files(folder: Path) -> tuple[str, str]:
    """Overrides for a folder that is not GLUE's: its train.tsv, and its dev.tsv or else its test.tsv."""
    dev = folder / "dev.tsv"
    return f"task.train={folder / 'train.tsv'}", f"task.dev={dev if dev.exists() else folder / 'test.tsv'}"


def main() -> None:
    """Measure and print one table a task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", help="folder of an encoder with a masked-LM head")
    parser.add_argument(
        "tasks",
        nargs="+",
        help="folders in GLUE's layout, named as GLUE names them, or of files with columns text and label",
    )
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--store", default="contexts-store")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="changes to contexts.yaml")
    asked = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs; seeds {asked.seeds}; {asked.set}")
    for folder in asked.tasks:
        task, teachers, students = measure(asked, folder)
        print(*table(task, teachers, students), sep="\n", flush=True)


def measure(asked: argparse.Namespace, folder: str) -> tuple[TaskData, list[NDArray[Any]], dict[str, list[Trained]]]:
    """The task, what each seed's teacher says of its dev rows, and each way's students, one a seed."""
    students: dict[str, list[Trained]] = {way: [] for way in WAYS if way in asked.ways}
    teachers = []
    for seed in asked.seeds:
        chain = Chain(asked, folder, seed)
        times = 1.0
        for way, many in students.items():
            made = chain.finish(*WAYS[way], *(chain.epochs(times) if way == NONE else ()))
            task = load_task(made["task_data"].path)
            logits = made["teacher_logits"].metrics
            if way != NONE:
                times = logits["rows"] / logits["original_rows"]
            name = next((made["prediction"].path / "students").iterdir())
            proposed = made.get("candidates", made.get("augmentation"))
            many.append(
                Trained(
                    chain.predict(name, task),
                    logits.get("quality"),
                    proposed.manifest.timings.seconds if proposed else None,
                )
            )
            print(f"{folder}, seed {seed}, {way}: done", flush=True)
        teachers.append(chain.predict(made["teacher"].path / "model", task))
    return task, teachers, students


def table(task: TaskData, teachers: Sequence[NDArray[Any]], students: dict[str, list[Trained]]) -> Iterator[str]:
    """The lines of a Markdown table."""
    labels = task.splits["dev"]["label"].to_numpy()
    drawn = dict(zip(students, resampled(task, labels, students), strict=True))
    own = {way: [score(task, one.predictions, labels) for one in many] for way, many in students.items()}
    against = [way for way in (PAPER, NONE) if way in students]
    yield f"\n{task.name}, {len(labels):,} dev rows, {main_metric(task.metric)} x 100"
    yield f"teacher {_each([score(task, one, labels) for one in teachers])}\n"
    yield (
        "| way | score | of each seed | "
        + "".join(f"against {way} | " for way in against)
        + ("variants a row | flip rate | pseudo-perplexity, origin to variant | candidates, s |")
    )
    yield "|---" * (7 + len(against)) + "|"
    for way, many in students.items():
        low, high = interval(drawn[way], LEVEL)
        cells = [way, f"{100 * np.mean(own[way]):.1f} [{100 * low:.1f}, {100 * high:.1f}]", _each(own[way])]
        cells += [
            "" if other == way else _difference(own[way], own[other], drawn[way] - drawn[other]) for other in against
        ]
        yield "| " + " | ".join([*cells, *_about(many)]) + " |"


def resampled(task: TaskData, labels: NDArray[Any], students: dict[str, list[Trained]]) -> list[Scores]:
    """For each way (resamples,): the mean over seeds of the score on the same resampled dev rows."""
    everybody = tuple(one.predictions for many in students.values() for one in many)
    scores = iter(resampled_scores(scoring(task), labels, everybody, RESAMPLES, 0))
    return [np.mean([next(scores) for _ in many], axis=0) for many in students.values()]


def score(task: TaskData, predictions: NDArray[Any], labels: NDArray[Any]) -> float:
    """The main metric."""
    return compute_metrics(scoring(task), predictions, labels)[main_metric(task.metric)]


def _each(scores: Sequence[float]) -> str:
    return ", ".join(f"{100 * one:.1f}" for one in scores)


def _difference(one: Sequence[float], other: Sequence[float], drawn: Scores) -> str:
    low, high = interval(drawn, LEVEL)
    return f"{100 * (np.mean(one) - np.mean(other)):+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _about(many: Sequence[Trained]) -> list[str]:
    """Means over the seeds of what is known of the variants."""
    if many[0].quality is None:
        return ["", "", "", ""]
    found = [one.quality for one in many if one.quality is not None]
    each = np.mean([quality["variants"] / quality["rows"] for quality in found])
    flips = np.mean([quality["teacher"]["flip_rate"] for quality in found])
    strange = [quality["pseudo_perplexity"] for quality in found if quality["pseudo_perplexity"]]
    before, after = (np.mean([one[which] for one in strange]) for which in ("origin", "variant"))
    return [
        f"{each:.1f}",
        f"{flips:.1%}",
        f"{before:.1f} to {after:.1f}",
        f"{np.mean([one.seconds or 0 for one in many]):.0f}",
    ]


if __name__ == "__main__":
    main()
