"""The work of stage ``evaluation``: score every model on the rows that judge, with confidence intervals."""

from typing import Any

import numpy as np

from pipeline.config.models import StudentConfig
from pipeline.data.tasks.table import TaskData, load_task
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.comparison import compared_models
from pipeline.engine.constant_answer import best_constant, unlearned
from pipeline.engine.inference import predict_logits, predicted_labels
from pipeline.engine.rows import write_rows
from pipeline.engine.run_training import describe_device, placed, write_json
from pipeline.engine.scoring import metric_names, scoring
from pipeline.evaluation.baseline import tfidf_baseline, unit
from pipeline.evaluation.cost import count_parameters, size_on_disk
from pipeline.evaluation.kept_predictions import PREDICTIONS, write_predictions
from pipeline.evaluation.metrics import bootstrap_difference, bootstrap_interval, compute_metrics, main_metric
from pipeline.evaluation.scores import count_pairs
from pipeline.models.load import load_finetuned
from pipeline.models.source import ModelSource
from pipeline.store.fingerprint import canonical, digest_bytes
from pipeline.store.stage import StageRun


def run(
    run: StageRun,
    *,
    students: tuple[StudentConfig, ...],
    same_size: dict[str, str],
    bootstrap: int,
    tfidf: bool,
    seed: int,
) -> None:
    """Predict the rows that judge with every model, and write the result table and the predictions.

    Args:
        run: this stage's execution; inputs ``task_data``, ``teacher``, ``students`` and perhaps ``label_only``.
        students: the students of the run.
        same_size: student -> the first student of the same size, whose label-only twin it is compared with.
        bootstrap: number of resamples of the rows for each confidence interval.
        tfidf: add a linear model on word counts as a baseline.
        seed: seed of the resamples.
    """
    task = load_task(run.artifact("task_data"))
    models = compared_models(run, students, same_size)
    tokenizer = load_tokenizer(str(models[0].folder))
    splits, judging = task.judging, task.judging[0]
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
        sizes[one.name] = {"parameters": count_parameters(model), "size_bytes": size_on_disk(one.folder)}
        predictions[one.name] = {
            split: predicted_labels(task, predict_logits(model, table, pad_id=tokenizer.pad_token_id))
            for split, table in tables.items()
        }
        run.progress.update(number + 1, len(models))
    resampling = (bootstrap, seed)
    results = [
        _figures(task, one.name, one.role, predictions, one.like, resampling) | sizes[one.name] for one in models
    ]
    if tfidf:
        name, predicted = _tfidf(task)
        predictions[name] = {judging: predicted}
        results.append(_figures(task, name, "tfidf", predictions, None, resampling))
    names, main = metric_names(task), main_metric(task.metric)
    doubts = unlearned(task, results[0]["metrics"][main], best_constant(task))
    for doubt in doubts:
        run.progress.note(f"warning: {doubt}")
    found = {
        "results": results,
        "warnings": [*doubts, *task.statistics["warnings"]],
        "metric_names": names,
        "judged_on": judging,
        "judged_rows": len(tables[judging]),
    }
    write_json(run.output / "results.json", found)
    write_predictions(
        run.output / PREDICTIONS, task.splits[judging], {name: of[judging] for name, of in predictions.items()}
    )
    run.record(
        models={
            result["name"]: {"role": result["role"], **result["metrics"], "retention": result["retention"]}
            for result in results
        },
        judged_digest=digest_bytes(canonical(task.splits[judging].drop_columns(["row_id"]).to_pydict())),
        **describe_device(run.runtime),
        **({"metric_names": names} if names else {}),
    )


def _figures(
    task: TaskData,
    name: str,
    role: str,
    predictions: dict[str, dict[str, np.ndarray]],
    like: str | None,
    resampling: tuple[int, int],
) -> dict[str, Any]:
    """Return one row of the result table.

    Args:
        task: dev labels and the metric.
        name: name of the model.
        role: its role in the table.
        predictions: model -> split -> (rows,), predicted labels; the teacher's are needed too.
        like: name of the label-only student it is compared with; None for none.
        resampling: number of resamples, and their seed.
    """
    own, way, judging = predictions[name], scoring(task), task.judging[0]
    labels = {split: task.splits[split]["label"].to_numpy() for split in own}
    metrics = compute_metrics(way, own[judging], labels[judging])
    for split in own:
        if split != judging:
            scores = compute_metrics(way, own[split], labels[split])
            metrics |= {f"{split}_{metric}": score for metric, score in scores.items()}
    main = main_metric(task.metric)
    of_teacher = compute_metrics(way, predictions["teacher"][judging], labels[judging])[main]
    return {
        "name": name,
        "role": role,
        "metrics": metrics,
        "interval": bootstrap_interval(way, own[judging], labels[judging], *resampling),
        "retention": metrics[main] / of_teacher if of_teacher > best_constant(task).score else None,
        "difference": like
        and bootstrap_difference(way, own[judging], predictions[like][judging], labels[judging], *resampling),
        "confusion": _confusion(task, own[judging], labels[judging]),
    }


def _confusion(task: TaskData, predictions: np.ndarray, labels: np.ndarray) -> list[list[int]] | None:
    """Return the confusion matrix, true class by row, prediction by column; None without classes."""
    if task.kind != "classification":
        return None
    found: list[list[int]] = count_pairs(labels, predictions, len(task.label_names))[0].tolist()
    return found


def _tfidf(task: TaskData) -> tuple[str, np.ndarray]:
    """Return the name of the word-count baseline and its predictions for the dev rows, (rows,)."""

    def texts(split: str) -> list[Any]:
        table = task.splits[split]
        first = table["text"].to_pylist()
        return list(zip(first, table["text_pair"].to_pylist(), strict=True)) if task.pair else first

    labels = task.splits["train"]["label"].to_numpy()
    train = texts("train")
    name = "TF-IDF" if unit(train) == "words" else "TF-IDF of characters"
    return name, tfidf_baseline(train, labels, texts(task.judging[0]), kind=task.kind)
