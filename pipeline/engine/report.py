"""The work of stage ``report``: one page with all results of a run, and the students with model cards."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.models import StudentConfig
from pipeline.config.yaml_text import block
from pipeline.data.tasks.table import load_task
from pipeline.engine.comparison import baseline_names, read_latency, with_latency
from pipeline.engine.run_training import write_json
from pipeline.engine.student_identity import folder
from pipeline.engine.variant_quality import QUALITY
from pipeline.evaluation.metrics import main_metric
from pipeline.models.load import load_config
from pipeline.models.released import has_relu
from pipeline.models.source import ModelSource
from pipeline.report.card import model_card
from pipeline.report.content import ReportData, ResultRow, StageRow
from pipeline.report.formats import judged, machine, sentence
from pipeline.report.report import render
from pipeline.report.summary import diagnose, summarise
from pipeline.store.artifact import Manifest, load_artifact
from pipeline.store.stage import StageRun

RELU_LIMIT = (
    "It was trained and measured with logits classifier(relu(pooled)), a habit of the released TinyBERT code; "
    "loaded with from_pretrained it leaves the relu out, and its figures differ."
)
TIMES = ("latency", "latency_length", "latency_batch", "machine")


def run(
    run: StageRun,
    *,
    name: str,
    configuration: dict[str, Any],
    students: tuple[StudentConfig, ...],
    same_size: dict[str, str],
    bootstrap: int,
    last_phase: str,
) -> None:
    """Write the report, its results as JSON, and a folder with a model card for each student.

    Args:
        run: this stage's execution; its inputs are the stages of the run, by name.
        name: name of the run.
        configuration: configuration of the run, as JSON values.
        students: the students of the run.
        same_size: student -> the first student of the same size, whose label-only twin it is compared with.
        last_phase: name of the last phase, which trained the students.
        bootstrap: number of resamples for each confidence interval.
    """
    stages = {role: _manifest(run.artifact(role)) for role in run.inputs}
    found = json.loads((run.artifact("evaluation") / "results.json").read_text())
    task = load_task(run.artifact("task_data"))
    times = read_latency(run.artifact("latency"))
    found["results"] = with_latency(found["results"], times)
    write_json(run.output / "results.json", found | {key: times[key] for key in TIMES})
    warnings = tuple(sentence(warning) for warning in found["warnings"])
    names = found["metric_names"]
    results = [ResultRow(**_tuples(row | {"metrics": _named(row["metrics"], names)})) for row in found["results"]]
    main = names.get(main_metric(task.metric), main_metric(task.metric))
    curves, classes = _curves(run), task.label_names if task.kind == "classification" else ()
    data = ReportData(
        title=name,
        created=stages["evaluation"].timings.finished,
        main_metric=main,
        results=results,
        judged=judged(found["judged_rows"], found["judged_on"]),
        resamples=bootstrap,
        latency_length=times["latency_length"],
        latency_batch=times["latency_batch"],
        machine=machine(times["machine"]),
        curves=curves,
        label_names=classes,
        evaluations=_evaluations(run),
        latency=times["latency"],
        stages=_stage_rows(stages),
        configuration=block(configuration),
        environment=_environment(stages["evaluation"]),
        augmentation=_augmentation(run),
        notes=(*warnings, *diagnose(curves, len(classes))),
    )
    (run.output / "report.html").write_text(render(data), encoding="utf-8")
    baselines = baseline_names(same_size)
    for student in students:
        compared = (student.name, baselines.get(student.name))
        target = folder(run.output, student)
        shutil.copytree(folder(run.artifact(last_phase), student), target)
        card = model_card(
            student.name,
            teacher=_teacher_name(stages["teacher"]),
            task=task.name,
            main_metric=main,
            results=[row for row in results if row.role == "teacher" or row.name in compared],
            label_names=classes,
            max_length=task.max_length,
            pair=task.pair,
            judged=data.judged,
            timed=_timed(data),
            fingerprint=stages[last_phase].fingerprint,
            limits=(*warnings, *((RELU_LIMIT,) if has_relu(load_config(ModelSource(str(target)))) else ())),
        )
        (target / "README.md").write_text(card, encoding="utf-8")
    run.record(summary=summarise(results, main))


def _timed(data: ReportData) -> str:
    """Describe what the latencies in a model card were measured on."""
    return f"one forward pass, batch {data.latency_batch}, {data.latency_length} word pieces, on {data.machine}"


def _manifest(artifact: Path) -> Manifest:
    return load_artifact(artifact).manifest


def _named(metrics: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    """Return the scores with the names shown to readers as keys."""
    return {names.get(key, key): value for key, value in metrics.items()}


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def _curves(run: StageRun) -> dict[str, list[dict[str, float]]]:
    return {title: history["curve"] for title, history in _histories(run).items()}


def _evaluations(run: StageRun) -> dict[str, list[tuple[float, float]]]:
    return {
        title: [(step, score) for step, score in history["scores"]]
        for title, history in _histories(run).items()
        if history["scores"]
    }


def _histories(run: StageRun) -> dict[str, dict[str, Any]]:
    """Read the history of every training of every stage: title for readers -> history."""
    found = {}
    for role in run.inputs:
        for path in sorted(run.artifact(role).glob("*_history.json")):
            training = path.name.removesuffix("_history.json")
            for learner, history in json.loads(path.read_text()).items():
                extra = [part for part in (training, learner) if part not in ("training", role)]
                found[" / ".join([role.replace("_", " "), *extra])] = history
    return found


def _stage_rows(stages: Mapping[str, Manifest]) -> list[Any]:
    return [
        StageRow(
            name=stage.stage,
            ref=f"{stage.stage}/v{stage.version:04d}",
            fingerprint=stage.fingerprint,
            state="resumed" if stage.timings.resumed else "completed",
            seconds=stage.timings.seconds,
            inputs=tuple(
                f"{given.stage}/v{given.version:04d}" for given in stage.inputs.values() if given.kind == "artifact"
            ),
        )
        for stage in stages.values()
    ]


def _environment(manifest: Manifest) -> dict[str, Any]:
    return {
        **{key: manifest.metrics[key] for key in ("device", "threads") if key in manifest.metrics},
        "python": manifest.python,
        "platform": manifest.platform,
        "git commit": manifest.git_commit or "unknown",
        **manifest.packages,
    }


def _teacher_name(manifest: Manifest) -> str:
    pretrained = manifest.inputs["pretrained"]
    if pretrained.kind == "artifact":
        return f"{pretrained.stage}/v{pretrained.version:04d}"
    return Path(pretrained.paths[0]).name if pretrained.paths else "teacher"


def _augmentation(run: StageRun) -> dict[str, Any] | None:
    """Read the quality figures of the variants; None if there are no variants."""
    path = run.artifact("teacher_logits") / QUALITY
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
