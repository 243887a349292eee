"""List the models that a run compares at its end, and add their latencies to their scores; without torch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.models import StudentConfig
from pipeline.engine.student_identity import folder
from pipeline.store.stage import StageRun

LATENCY = "latency.json"


@dataclass(frozen=True)
class ComparedModel:
    """One model of the comparison.

    Attributes:
        name: its name in the result table.
        role: "teacher", "student", "ablation" or "label-only".
        folder: folder that the model is loaded from.
        like: for a student, the name of the label-only student of its size; None without one.
    """

    name: str
    role: str
    folder: Path
    like: str | None = None


def baseline_names(same_size: Mapping[str, str]) -> dict[str, str]:
    """Return student -> name of the label-only student of its size in the result table.

    Args:
        same_size: student -> the first student of the same size.
    """
    firsts = list(dict.fromkeys(same_size.values()))
    names = {name: f"label-only like {name}" if number else "label-only" for number, name in enumerate(firsts)}
    return {student: names[first] for student, first in same_size.items()}


def compared_models(
    run: StageRun, students: Sequence[StudentConfig], same_size: Mapping[str, str]
) -> list[ComparedModel]:
    """Return the models to compare, in the order of the result table.

    Args:
        run: a stage with the inputs ``teacher``, ``students`` and, if there are label-only students, ``label_only``.
        students: the students of the run.
        same_size: student -> the first student of the same size.
    """
    models = [ComparedModel("teacher", "teacher", run.artifact("teacher") / "model")]
    names = baseline_names(same_size)
    for student in students:
        if same_size.get(student.name) == student.name:
            place = folder(run.artifact("label_only"), student)
            models.append(ComparedModel(names[student.name], "label-only", place))
    distilled = any(student.start != "random" for student in students)
    for student in students:
        role = "ablation" if distilled and student.start == "random" else "student"
        place = folder(run.artifact("students"), student)
        models.append(ComparedModel(student.name, role, place, names.get(student.name)))
    return models


def shown_cell(lengths: Sequence[int], batches: Sequence[int]) -> tuple[int, int]:
    """Return the length and batch size whose latency and operations the result table shows.

    Args:
        lengths: measured lengths, in word pieces; the median is shown.
        batches: measured batch sizes; the first is shown.
    """
    return sorted(lengths)[len(lengths) // 2], batches[0]


def read_latency(artifact: Path) -> dict[str, Any]:
    """Read the measurements of stage ``latency``.

    Args:
        artifact: folder of its artifact.
    """
    measurements: dict[str, Any] = json.loads((artifact / LATENCY).read_text(encoding="utf-8"))
    return measurements


def with_latency(results: Sequence[Mapping[str, Any]], measurements: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Add latency, speed and operations to the rows of a result table; None for models that were not timed.

    Args:
        results: rows of the evaluation.
        measurements: as returned by ``read_latency``.
    """
    cell = (measurements["latency_length"], measurements["latency_batch"])
    timed = {row["model"]: row for row in measurements["latency"] if (row["length"], row["batch"]) == cell}
    return [
        {
            **result,
            "flops": measurements["flops"].get(result["name"]),
            "latency_ms": timed.get(result["name"], {}).get("milliseconds"),
            "speed": timed.get(result["name"], {}).get("speed"),
            "latency_reliable": timed.get(result["name"], {}).get("reliable", True),
        }
        for result in results
    ]
