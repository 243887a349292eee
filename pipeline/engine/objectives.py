"""Objectives: the terms a user asks for, built for a student and its teacher, or refused in one line."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from pipeline.config.models import StudentConfig
from pipeline.config.terms import (
    AttentionTerm,
    EmbeddingTerm,
    HardTerm,
    HiddenTerm,
    Schedule,
    SoftTerm,
    TermOptions,
    Terms,
    check_any_term,
)
from pipeline.distillation import schedules
from pipeline.distillation.objective import Objective, Part
from pipeline.distillation.terms import attention, hidden, response
from pipeline.distillation.terms.hidden import Link
from pipeline.distillation.terms.term import Term
from pipeline.engine.learner import Learner
from pipeline.engine.student_identity import mapped_layers, student_seed
from pipeline.features import Outcome, Tap
from pipeline.models.shapes import check_heads
from pipeline.models.trial import read_as_student
from pipeline.models.windows import attention_windows, check_windows

TEACHER = "teacher"  # the name of the guide in the phases that have one


@dataclass
class Pair:
    """What a term is built for.

    Attributes:
        student: configuration of the student.
        teacher: configuration of the teacher.
        links: student layer and the teacher layer that it imitates, from the first to the last.
        outcome: what a row of the task has; None on a corpus.
        seed: of the student.
        projections: those that terms have drawn so far, by the name of the term.
    """

    student: PreTrainedConfig
    teacher: PreTrainedConfig
    links: Sequence[Link]
    outcome: Outcome | None
    seed: int
    projections: dict[str, nn.Linear] = field(default_factory=dict)

    def project(self, name: str) -> nn.Linear:
        """The projection of a term from the student's width to the teacher's, drawn when it is first asked for.

        Its seed is that of the student and the term: another term, or another student, moves no projection.
        """
        if name not in self.projections:
            torch.manual_seed(crc32(f"{self.seed}/{name}".encode()))
            self.projections[name] = nn.Linear(self.student.hidden_size, self.teacher.hidden_size, bias=False)
        return self.projections[name]


def _embedding(options: EmbeddingTerm, pair: Pair, name: str) -> Term:
    projection = pair.project(HiddenTerm.KIND if options.projection == "shared" else name)
    return hidden.HiddenTerm([(0, 0)], projection, count_padding=options.count_padding)


def _hidden(options: HiddenTerm, pair: Pair, name: str) -> Term:
    return hidden.HiddenTerm(pair.links, pair.project(name), count_padding=options.count_padding)


def _attention(options: AttentionTerm, pair: Pair, _name: str) -> Term:
    return attention.AttentionTerm(pair.links, attention_windows(pair.student), count_padding=options.count_padding)


def _soft(options: SoftTerm, pair: Pair, _name: str) -> Term:
    return response.SoftTerm(
        pair.outcome or "classes",
        temperature=number(options.temperature),
        squared_temperature=options.squared_temperature,
        mean_over_classes=options.mean_over_classes,
    )


def _hard(_options: HardTerm, pair: Pair, _name: str) -> Term:
    return response.HardTerm(pair.outcome or "classes")


BUILDERS: Mapping[str, Callable[[Any, Pair, str], Term]] = {
    EmbeddingTerm.KIND: _embedding,
    HiddenTerm.KIND: _hidden,
    AttentionTerm.KIND: _attention,
    SoftTerm.KIND: _soft,
    HardTerm.KIND: _hard,
}


def number(value: float | Schedule) -> schedules.Number:
    """A number as the terms take it."""
    if isinstance(value, Schedule):
        return schedules.ramp(value.start, value.end, value.shape, value.over)
    return value


def objective(terms: Terms, pair: Pair) -> Objective:
    """The terms of a phase, built for one student.

    Args:
        terms: what is learned.
        pair: student and teacher.
    """
    return Objective([_part(name, options, pair) for name, options in terms.named()])


def _part(name: str, options: TermOptions, pair: Pair) -> Part:
    term = BUILDERS[options.KIND](options, pair, name)
    return Part(name, term, number(options.weight), "" if options.READS == "labels" else TEACHER)


def build_learners(
    students: Sequence[StudentConfig],
    models: Mapping[str, PreTrainedModel],
    teacher: PreTrainedConfig,
    terms: Terms,
    *,
    outcome: Outcome | None = None,
    seed: int,
) -> dict[str, Learner]:
    """A learner for each student of a phase.

    Args:
        students: who learns.
        models: their models, by name.
        teacher: configuration of the teacher.
        terms: what is learned.
        outcome: what a row of the task has; None on a corpus.
        seed: of the run.

    Raises:
        ModelError: head counts or the reach of mapped layers differ while attention is imitated, a layer map does
            not fit, a student's family cannot take its shape, or there is nothing to learn.
    """
    check_any_term(terms)
    scores = terms.of(AttentionTerm)
    pairs = {}
    for student in students:
        config = models[student.name].config
        if scores:
            check_heads(student.name, config.num_attention_heads, teacher)
        mapped = mapped_layers(student, teacher, config) if terms.reads("layers") else ()
        if scores:
            check_windows(student.name, mapped, config, teacher)
        if terms.reads("layers"):
            read_as_student(models[student.name], terms.shown)
        links = list(enumerate(mapped, start=1))
        pairs[student.name] = Pair(config, teacher, links, outcome, student_seed(student, seed))
    return {name: Learner(models[name], objective(terms, pair)) for name, pair in pairs.items()}


def from_labels(outcome: Outcome) -> Objective:
    """Gold labels alone: fine-tuning."""
    return Objective([Part(HardTerm.KIND, response.HardTerm(outcome))])


def masked_words() -> Objective:
    """Masked word pieces: pretraining."""
    return Objective([Part("masked_lm", response.HardTerm("masked_words"))])


def guide_taps(learners: Mapping[str, Learner], guide: str = TEACHER) -> tuple[Tap, ...]:
    """What any of the learners reads from a guide, each tap once, sorted."""
    return tuple(sorted({tap for learner in learners.values() for tap in learner.objective.guide_taps(guide)}))
