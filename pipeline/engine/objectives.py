"""The objectives of today's phases: terms built for a student and its guide, or refused in one line."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from pipeline.config.distillation import Terms, check_any_term
from pipeline.config.models import StudentConfig
from pipeline.distillation.objective import Objective, Part
from pipeline.distillation.terms.attention import AttentionTerm
from pipeline.distillation.terms.hidden import HiddenTerm
from pipeline.distillation.terms.response import HardTerm, MaskedWordTerm, SoftTerm
from pipeline.engine.learner import Learner
from pipeline.engine.student_identity import mapped_layers, student_seed
from pipeline.features import Outcome, Tap
from pipeline.models.shapes import check_heads
from pipeline.models.trial import read_as_student
from pipeline.models.windows import attention_windows, check_windows

TEACHER = "teacher"  # the name of the guide in the phases that have one


def hard(outcome: Outcome) -> Objective:
    """Gold labels alone: fine-tuning."""
    return Objective([Part("labels", HardTerm(outcome))])


def masked_words() -> Objective:
    """Masked word pieces: pretraining."""
    return Objective([Part("masked_lm", MaskedWordTerm())])


def soft(outcome: Outcome, *, temperature: float = 1.0, mean_over_classes: bool = False) -> Objective:
    """The teacher's outputs: the prediction phase."""
    term = SoftTerm(outcome, temperature=temperature, mean_over_classes=mean_over_classes)
    return Objective([Part("prediction", term, guide=TEACHER)])


def imitation(
    terms: Terms, student: PreTrainedConfig, teacher: PreTrainedConfig, mapped: Sequence[int], *, seed: int
) -> Objective:
    """Embeddings, hidden states and attention scores of the teacher (equation 11, without prediction).

    Args:
        terms: weights, and how means are taken.
        student: configuration of the student.
        teacher: configuration of the teacher.
        mapped: for each student layer, the teacher layer it imitates.
        seed: of the projections.
    """
    torch.manual_seed(seed)
    hidden_projection = nn.Linear(student.hidden_size, teacher.hidden_size, bias=False)
    embedding_projection = (
        hidden_projection
        if terms.projection == "shared"
        else nn.Linear(student.hidden_size, teacher.hidden_size, bias=False)
    )
    links = list(enumerate(mapped, start=1))
    counting = {"count_padding": terms.padding == "included"}
    parts = [
        Part("embedding", HiddenTerm([(0, 0)], embedding_projection, **counting), terms.embedding, TEACHER),
        Part("hidden", HiddenTerm(links, hidden_projection, **counting), terms.hidden, TEACHER),
        Part("attention", AttentionTerm(links, attention_windows(student), **counting), terms.attention, TEACHER),
    ]
    return Objective([part for part in parts if part.weight])


def imitators(
    students: Sequence[StudentConfig],
    models: Mapping[str, PreTrainedModel],
    teacher: PreTrainedConfig,
    terms: Terms,
    *,
    seed: int,
) -> dict[str, Learner]:
    """A learner for each student that imitates the mapped layers of one teacher.

    Args:
        students: who learns.
        models: their models, by name.
        teacher: configuration of the teacher.
        terms: what is imitated.
        seed: of the run.

    Raises:
        ModelError: head counts or the reach of mapped layers differ while attention is imitated, a layer map does
            not fit, a student's family cannot take its shape, or there is nothing to imitate.
    """
    check_any_term(terms)
    maps = {}
    for student in students:
        config = models[student.name].config
        if terms.attention:
            check_heads(student.name, config.num_attention_heads, teacher)
        maps[student.name] = mapped_layers(student, teacher, config)
        if terms.attention:
            check_windows(student.name, maps[student.name], config, teacher)
        read_as_student(models[student.name], attention=bool(terms.attention))
    return {
        student.name: Learner(
            models[student.name],
            imitation(
                terms,
                models[student.name].config,
                teacher,
                maps[student.name],
                seed=student_seed(student, seed),
            ),
        )
        for student in students
    }


def guide_taps(learners: Mapping[str, Learner], guide: str = TEACHER) -> tuple[Tap, ...]:
    """What any of the learners reads from a guide, each tap once, sorted."""
    return tuple(sorted({tap for learner in learners.values() for tap in learner.objective.guide_taps(guide)}))
