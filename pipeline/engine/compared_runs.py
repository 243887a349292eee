"""The work of stage ``comparison``: means over seeds, intervals over seeds and rows, paired differences; a page."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.tasks.table import load_task
from pipeline.engine.comparison import read_latency
from pipeline.engine.run_training import write_json
from pipeline.engine.scoring import metric_names, scoring
from pipeline.errors import DataError
from pipeline.evaluation.kept_predictions import PREDICTIONS, KeptPredictions, read_predictions
from pipeline.evaluation.metrics import main_metric
from pipeline.evaluation.scores import Scoring
from pipeline.evaluation.seeds import SeedsDifference, SeedsScore, holm, seeds_difference, seeds_score
from pipeline.report.comparison import comparison_page
from pipeline.report.formats import judged
from pipeline.store.artifact import load_artifact
from pipeline.store.stage import StageRun

RESULT, TABLE, PAGE = "comparison.json", "comparison.csv", "comparison.html"


@dataclass(frozen=True)
class Method:
    """A student of a run, with every seed.

    Attributes:
        name: what the table calls it.
        variant: its run's number.
        model: its name in the run's evaluation.
        answers: of each seed, (rows,).
    """

    name: str
    variant: int
    model: str
    answers: tuple[np.ndarray, ...]


def run(
    run: StageRun,
    *,
    variants: tuple[str, ...],
    students: tuple[tuple[str, ...], ...],
    seeds: tuple[int, ...],
    resamples: int,
    seed: int,
) -> None:
    """Write the table as JSON, CSV and a page.

    Args:
        run: this stage's execution; inputs ``task_data``; ``evaluation_i_j`` for seed j of run i; ``work_i_k`` for the
            stages that train its students, and ``latency_i``, both of the first seed.
        variants: names of the runs; the others are compared with the first student of the first one.
        students: students of each run.
        seeds: of the students, by repetition.
        resamples: draws of each interval and p.
        seed: of the draws.
    """
    task = load_task(run.artifact("task_data"))
    kept = _read(run, len(variants), len(seeds))
    labels, way = kept[0][0].labels, scoring(task)
    methods = _methods(variants, students, kept, _labels_alone(run))
    rows = []
    for number, method in enumerate(methods):
        rows.append(seeds_score(way, method.answers, labels, resamples, seed))
        run.progress.update(number + 1, 2 * len(methods))
    differences = _differences(way, methods, labels, resamples, seed)
    facts = [_facts(run, method.variant, method.model) for method in methods]
    results = [
        _result(method, score, difference, fact)
        for method, score, difference, fact in zip(methods, rows, differences, facts, strict=True)
    ]
    main = main_metric(task.metric)
    found = {
        "metric": metric_names(task).get(main, main),
        "rows": judged(len(labels), task.judging[0]),
        "seeds": list(seeds),
        "resamples": resamples,
        "compared_with": methods[0].name,
        "teacher": _teacher(run, main),
        "results": results,
    }
    write_json(run.output / RESULT, found)
    _write_csv(run.output / TABLE, results)
    (run.output / PAGE).write_text(comparison_page(task.name, found), encoding="utf-8")
    run.record(scores={result["name"]: result["mean"] for result in results})


def _read(run: StageRun, variants: int, seeds: int) -> list[list[KeptPredictions]]:
    """The predictions of every run by seed, all on the same rows."""
    kept = [
        [read_predictions(run.artifact(f"evaluation_{variant}_{number}") / PREDICTIONS) for number in range(seeds)]
        for variant in range(variants)
    ]
    first = kept[0][0]
    for other in (one for of_run in kept for one in of_run):
        if not (np.array_equal(other.row_ids, first.row_ids) and np.array_equal(other.labels, first.labels)):
            raise DataError("the runs are judged on different rows: compare runs of one task with the same dev rows")
    return kept


def _methods(
    variants: Sequence[str],
    students: Sequence[Sequence[str]],
    kept: Sequence[Sequence[KeptPredictions]],
    alone: Sequence[str],
) -> list[Method]:
    """Every student of every run, and the first run's students on labels alone."""
    methods = []
    for variant, (name, of_run) in enumerate(zip(variants, students, strict=True)):
        for student in of_run:
            title = name if len(of_run) == 1 else f"{name} / {student}"
            methods.append(Method(title, variant, student, tuple(one.answers[student] for one in kept[variant])))
    return methods + [Method(model, 0, model, tuple(one.answers[model] for one in kept[0])) for model in alone]


def _labels_alone(run: StageRun) -> list[str]:
    """The first run's students on labels alone, by name."""
    return [row["name"] for row in _results(run, 0) if row["role"] == "label-only"]


def _results(run: StageRun, variant: int) -> list[dict[str, Any]]:
    """The results of a run's first seed."""
    found = json.loads((run.artifact(f"evaluation_{variant}_0") / "results.json").read_text("utf-8"))
    return list(found["results"])


def _differences(
    way: Scoring, methods: Sequence[Method], labels: np.ndarray, resamples: int, seed: int
) -> list[SeedsDifference | None]:
    """Of each method to the first one, with p corrected for their number; None for the first one itself."""
    first, *others = methods
    found = [seeds_difference(way, one.answers, first.answers, labels, resamples, seed) for one in others]
    corrected = holm([difference.p for difference in found])
    return [
        None,
        *(SeedsDifference(one.mean, one.interval, p) for one, p in zip(found, corrected, strict=True)),
    ]


def _result(
    method: Method, score: SeedsScore, difference: SeedsDifference | None, facts: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "name": method.name,
        **asdict(score),
        "difference": None if difference is None else asdict(difference),
        **facts,
    }


def _facts(run: StageRun, variant: int, model: str) -> dict[str, Any]:
    """Parameters, milliseconds of a forward pass and seconds of training of a model, of the first seed."""
    results = _results(run, variant)
    row = next(row for row in results if row["name"] == model)
    facts: dict[str, Any] = {"parameters": row.get("parameters"), "milliseconds": None, "seconds": None}
    if run.has(f"latency_{variant}"):
        times = read_latency(run.artifact(f"latency_{variant}"))
        cell = (times["latency_length"], times["latency_batch"])
        facts["milliseconds"] = next(
            (
                timed["milliseconds"]
                for timed in times["latency"]
                if timed["model"] == model and (timed["length"], timed["batch"]) == cell
            ),
            None,
        )
    taught = [row for row in results if row["role"] in ("student", "ablation")]
    if len(taught) == 1 and taught[0]["name"] == model:  # several share the time of their stages
        work = [role for role in run.inputs if role.startswith(f"work_{variant}_")]
        timings = [load_artifact(run.artifact(role)).manifest.timings for role in work]
        if not any(timing.resumed for timing in timings):  # else only the last attempt was timed
            facts["seconds"] = sum(timing.seconds for timing in timings)
    return facts


def _teacher(run: StageRun, main: str) -> float:
    """Score of the first run's teacher."""
    return float(next(row for row in _results(run, 0) if row["role"] == "teacher")["metrics"][main])


def _write_csv(path: Path, results: Sequence[Mapping[str, Any]]) -> None:
    columns = ("name", "mean", "low", "high", "difference", "difference_low", "difference_high", "p")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*columns, "parameters", "milliseconds", "seconds", "by_seed"))
        for row in results:
            difference = row["difference"] or {"mean": "", "interval": ("", ""), "p": ""}
            writer.writerow(
                (
                    row["name"],
                    row["mean"],
                    *row["interval"],
                    difference["mean"],
                    *difference["interval"],
                    difference["p"],
                    *(row[fact] for fact in ("parameters", "milliseconds", "seconds")),
                    " ".join(map(str, row["by_seed"])),
                )
            )
