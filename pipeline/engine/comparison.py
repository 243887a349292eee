"""Which models a run compares at its end, and how their times come beside their scores; without torch."""

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
        name: as the table shows it.
        role: teacher, student, ablation or label-only.
        folder: its model folder.
        like: for a student, the name of the label-only student of its size.
    """

    name: str
    role: str
    folder: Path
    like: str | None = None


def baseline_names(same_size: Mapping[str, str]) -> dict[str, str]:
    """Student -> what the results call the label-only student of its size.

    Args:
        same_size: student -> the first student of its size.
    """
    firsts = list(dict.fromkeys(same_size.values()))
    names = {name: f"label-only like {name}" if number else "label-only" for number, name in enumerate(firsts)}
    return {student: names[first] for student, first in same_size.items()}


def compared_models(
    run: StageRun, students: Sequence[StudentConfig], same_size: Mapping[str, str]
) -> list[ComparedModel]:
    """The models of the comparison, in the order of the table.

    Args:
        run: a stage with the inputs ``teacher``, ``students`` and, if there are label-only students, ``label_only``.
        students: of the run.
        same_size: student -> the first student of its size.
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
    """The length and batch that the result table's latency and operations are stated for."""
    return sorted(lengths)[len(lengths) // 2], batches[0]


def read_latency(artifact: Path) -> dict[str, Any]:
    """What the stage ``latency`` measured.

    Args:
        artifact: its folder.
    """
    found: dict[str, Any] = json.loads((artifact / LATENCY).read_text(encoding="utf-8"))
    return found


def timed(results: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a result table with the time of each model, where it was timed.

    Args:
        results: of the evaluation.
        found: as ``read_latency`` gives it.
    """
    cell = (found["latency_length"], found["latency_batch"])
    shown = {row["model"]: row for row in found["latency"] if (row["length"], row["batch"]) == cell}
    return [
        {
            **result,
            "flops": found["flops"].get(result["name"]),
            "latency_ms": shown.get(result["name"], {}).get("milliseconds"),
            "speed": shown.get(result["name"], {}).get("speed"),
            "latency_reliable": shown.get(result["name"], {}).get("reliable", True),
        }
        for result in results
    ]
