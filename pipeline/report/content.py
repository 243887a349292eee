"""The content of a report as plain values, without its layout.

A model has the same name in ``results`` and in ``latency``, a stage the same reference in ``StageRow.ref`` and in
``inputs``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["teacher", "student", "label-only", "tfidf", "ablation"]


@dataclass(frozen=True)
class ResultRow:
    """One model's figures; None for a figure that the model does not have (a TF-IDF model has no latency).

    Attributes:
        metrics: every metric, the main one among them; between -1 and 1, higher is better.
        interval: confidence interval of the main metric, (low, high).
        retention: the main metric as a share of the teacher's, 1 = all of it.
        flops: operations of one row at ``ReportData.latency_length``.
        latency_ms: of one batch at ``ReportData.latency_length`` and ``latency_batch``, the tenth percentile.
        speed: how many times faster than the teacher that is: (ratio, low, high).
        latency_reliable: whether the times were steady.
        confusion: dev rows by true class (rows) and predicted class (columns); None without classes.
        difference: of the main metric to the label-only student: (difference, low, high).
    """

    name: str
    role: Role
    metrics: Mapping[str, float]
    interval: tuple[float, float] | None = None
    retention: float | None = None
    parameters: int | None = None
    flops: int | None = None
    size_bytes: int | None = None
    latency_ms: float | None = None
    difference: tuple[float, float, float] | None = None
    speed: tuple[float, float, float] | None = None
    latency_reliable: bool = True
    confusion: Sequence[Sequence[int]] | None = None


@dataclass(frozen=True)
class StageRow:
    """One stage of the run: its artifact, its state and its inputs.

    Attributes:
        ref: the artifact, e.g. ``teacher/v0002``.
        inputs: the references of the artifacts it was made from.
    """

    name: str
    ref: str
    fingerprint: str
    state: Literal["reused", "resumed", "completed"]
    seconds: float | None = None
    inputs: Sequence[str] = ()


@dataclass(frozen=True)
class ReportData:
    """Everything on the page.

    Attributes:
        created: ISO 8601.
        judged: the rows that the metrics were measured on, in words.
        curves: stage -> logged points: ``step``, ``loss``, one key a named term, perhaps ``learning_rate``.
        evaluations: stage -> (step, main metric on the dev rows).
        latency: rows of ``model``, ``length``, ``batch``, ``milliseconds``, ``speed``, ``reliable``.
        machine: the machine on which the times were measured, in words.
        label_names: names of the classes, in the order of ``ResultRow.confusion``.
        configuration: YAML.
        augmentation: content of ``quality.json`` of stage ``teacher_logits``; None without variants.
    """

    title: str
    created: str
    main_metric: str
    results: Sequence[ResultRow]
    judged: str = "the dev rows"
    resamples: int | None = None
    latency_length: int | None = None
    latency_batch: int | None = None
    curves: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)
    evaluations: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    latency: Sequence[Mapping[str, Any]] = ()
    machine: str | None = None
    stages: Sequence[StageRow] = ()
    label_names: Sequence[str] = ()
    configuration: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    augmentation: Mapping[str, Any] | None = None

    def first(self, role: Role) -> ResultRow | None:
        """Return the first result of a role, or None."""
        return next((row for row in self.results if row.role == role), None)
