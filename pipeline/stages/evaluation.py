"""Stage ``evaluation``: teacher, students and label-only students side by side on the task's dev rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config.base import Config
from pipeline.config.models import StudentConfig
from pipeline.config.run import RunConfig
from pipeline.engine.run_training import describe_device, placed, write_json
from pipeline.engine.student_identity import folder, identities
from pipeline.errors import ConfigError
from pipeline.stages.checks import Check, trains
from pipeline.stages.known import Known
from pipeline.stages.label_only import same_size, yardsticks
from pipeline.store.stage import Stage, StageRun

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.tasks.table import TaskData


RESERVED = ("teacher", "label-only")


class Compared(Config):
    """What says which models are compared, by whatever stage.

    Attributes:
        same_size: student -> the student whose label-only twin it is compared with.
    """

    students: tuple[StudentConfig, ...]
    same_size: dict[str, str]


class EvaluationStage(Compared):
    """What the figures depend on beside the models and the task."""

    bootstrap: int
    tfidf: bool
    relu_logits: bool
    seed: int


@dataclass(frozen=True)
class Judged:
    """One model of the comparison.

    Attributes:
        name: as the table shows it.
        role: teacher, student, ablation or label-only.
        folder: its model folder.
        like: for a student, the name of the label-only student of its size.
    """

    name: str
    role: str
    folder: Path
    like: str | None = None


def evaluation(
    config: RunConfig,
    task_data: Stage[Any],
    teacher: Stage[Any],
    students: Stage[Any],
    label_only: Stage[Any] | None,
) -> Stage[EvaluationStage]:
    """The comparison at the end of a run.

    Raises:
        ConfigError: a student is named like one of those it is compared with.
    """
    for student in config.students:
        if student.name in RESERVED:
            raise ConfigError(f"a student is named {student.name!r}, as another row of the results: rename it")
    settings = EvaluationStage(
        bootstrap=config.evaluation.bootstrap,
        tfidf=config.evaluation.tfidf,
        students=identities(config.students),
        same_size=same_size(config),
        relu_logits=config.relu_logits,
        seed=config.seed,
    )
    inputs = {"task_data": task_data, "teacher": teacher, "students": students}
    if label_only is not None:
        inputs["label_only"] = label_only
    return Stage("evaluation", 2, settings, inputs, _run)


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before the models are compared: a device, and names that tell them apart."""
    return (*trains(config.runtime), _check_names)


def _check_names(known: Known) -> None:
    for student in known.config.students:
        if student.name in RESERVED:
            raise ConfigError(f"a student is named {student.name!r}, as another row of the results: rename it")


def judged(config: Compared, run: StageRun) -> list[Judged]:
    """The models of the comparison, in the order of the table."""
    models = [Judged("teacher", "teacher", run.artifact("teacher") / "model")]
    names = yardsticks(config.same_size)
    for student in config.students:
        if config.same_size.get(student.name) == student.name:
            place = folder(run.artifact("label_only"), student)
            models.append(Judged(names[student.name], "label-only", place))
    distilled = any(student.start == "general" for student in config.students)
    for student in config.students:
        role = "ablation" if distilled and student.start == "random" else "student"
        models.append(Judged(student.name, role, folder(run.artifact("students"), student), names.get(student.name)))
    return models


def _run(config: EvaluationStage, run: StageRun) -> None:
    from pipeline.data.tasks.table import load_task
    from pipeline.data.tokens.tokenizer import load_tokenizer
    from pipeline.engine.inference import decide, predict_logits
    from pipeline.engine.rows import write_rows
    from pipeline.engine.scoring import metric_names
    from pipeline.engine.yardstick import best_constant, unlearned
    from pipeline.evaluation.cost import count_parameters, size_on_disk
    from pipeline.evaluation.metrics import main_metric
    from pipeline.models.load import load_finetuned
    from pipeline.models.released import relu_before_classifier
    from pipeline.models.source import ModelSource

    task = load_task(run.artifact("task_data"))
    models = judged(config, run)
    tokenizer = load_tokenizer(str(models[0].folder))
    splits: list[str] = [split for split in ("dev", "dev_mismatched") if split in task.splits]
    tables = {
        split: write_rows(
            run.scratch / split,
            [task.splits[split]],
            tokenizer,
            max_length=task.max_length,
            progress=run.progress,
        )
        for split in splits
    }
    sizes: dict[str, dict[str, int]] = {}
    predictions: dict[str, dict[str, np.ndarray]] = {}
    for number, one in enumerate(models):
        model = placed(load_finetuned(ModelSource(str(one.folder))), run.runtime)
        if config.relu_logits and one.role != "label-only":
            relu_before_classifier(model)
        sizes[one.name] = {"parameters": count_parameters(model), "size_bytes": size_on_disk(one.folder)}
        predictions[one.name] = {
            split: decide(task, predict_logits(model, table, pad_id=tokenizer.pad_token_id))
            for split, table in tables.items()
        }
        run.progress.update(number + 1, len(models))
    results = [_figures(task, one.name, one.role, predictions, one.like, config) | sizes[one.name] for one in models]
    if config.tfidf:
        name, predicted = _tfidf(task)
        predictions[name] = {"dev": predicted}
        results.append(_figures(task, name, "tfidf", predictions, None, config))
    names, main = metric_names(task), main_metric(task.metric)
    doubts = unlearned(task, results[0]["metrics"][main], best_constant(task))
    for doubt in doubts:
        run.progress.note(f"warning: {doubt}")
    found = {
        "results": results,
        "warnings": [*doubts, *task.statistics["warnings"]],
        "metric_names": names,
        "dev_rows": len(tables["dev"]),
    }
    write_json(run.output / "results.json", found)
    run.record(
        models={
            result["name"]: {"role": result["role"], **result["metrics"], "retention": result["retention"]}
            for result in results
        },
        **describe_device(run.runtime),
        **({"metric_names": names} if names else {}),
    )


def _figures(
    task: "TaskData",
    name: str,
    role: str,
    predictions: "dict[str, dict[str, np.ndarray]]",
    like: str | None,
    config: EvaluationStage,
) -> dict[str, Any]:
    """One row of the result table."""
    from pipeline.engine.scoring import scoring
    from pipeline.engine.yardstick import best_constant
    from pipeline.evaluation.metrics import (
        bootstrap_difference,
        bootstrap_interval,
        compute_metrics,
        main_metric,
    )

    own, way = predictions[name], scoring(task)
    labels = {split: task.splits[split]["label"].to_numpy() for split in own}
    metrics = compute_metrics(way, own["dev"], labels["dev"])
    for split in own:
        if split != "dev":
            scores = compute_metrics(way, own[split], labels[split])
            metrics |= {f"{split}_{metric}": score for metric, score in scores.items()}
    main = main_metric(task.metric)
    of_teacher = compute_metrics(way, predictions["teacher"]["dev"], labels["dev"])[main]
    resampling = (config.bootstrap, config.seed)
    return {
        "name": name,
        "role": role,
        "metrics": metrics,
        "interval": bootstrap_interval(way, own["dev"], labels["dev"], *resampling),
        "retention": metrics[main] / of_teacher if of_teacher > best_constant(task).score else None,
        "difference": like
        and bootstrap_difference(way, own["dev"], predictions[like]["dev"], labels["dev"], *resampling),
        "confusion": _confusion(task, own["dev"], labels["dev"]),
    }


def _confusion(task: "TaskData", predictions: "np.ndarray", labels: "np.ndarray") -> list[list[int]] | None:
    """How often each class, by row, got each answer, by column; None without classes."""
    from pipeline.evaluation.scores import count_pairs

    if task.kind != "classification":
        return None
    found: list[list[int]] = count_pairs(labels, predictions, len(task.label_names))[0].tolist()
    return found


def _tfidf(task: "TaskData") -> "tuple[str, np.ndarray]":
    """What the baseline is called, and its predictions."""
    from pipeline.evaluation.baseline import tfidf_baseline, unit

    def texts(split: str) -> list[Any]:
        table = task.splits[split]
        first = table["text"].to_pylist()
        return list(zip(first, table["text_pair"].to_pylist(), strict=True)) if task.pair else first

    labels = task.splits["train"]["label"].to_numpy()
    train = texts("train")
    name = "TF-IDF" if unit(train) == "words" else "TF-IDF of characters"
    return name, tfidf_baseline(train, labels, texts("dev"), kind=task.kind)
