"""Checks that several stages share, of what can be known before anything is computed; each refuses one mistake.

A stage declares its checks beside itself, in a function ``checks``; ``pipeline.stages.graph`` collects them. What a
check lets pass because it cannot know better, the stage itself refuses when it runs.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from pipeline.checks.known import Known
from pipeline.config.corpus import TokenizerTraining
from pipeline.config.models import PRESETS, StudentConfig
from pipeline.config.runtime import Runtime
from pipeline.config.terms import AttentionTerm, Terms, check_any_term
from pipeline.data.tokens.stored_vocabulary import check_ids
from pipeline.distillation.layer_map import layer_map
from pipeline.engine.compilation import require_compiler
from pipeline.engine.precision import require_device
from pipeline.engine.refusals import check_length
from pipeline.engine.student_identity import NAMED
from pipeline.errors import ModelError
from pipeline.models.shapes import check_heads, student_shape
from pipeline.models.unloaded import NO_ATTENTION_INTERFACE, UnloadedModel, check_encoder

Check = Callable[[Known], None]
"""Raises the ``PipelineError`` that the run would meet later."""


def trains(runtime: Runtime) -> tuple[Check, ...]:
    """The checks of every stage that computes with a model: its device and compiler are there."""
    return (lambda _known: require_device(runtime), lambda _known: require_compiler(runtime))


def loads(location: str | None) -> tuple[Check, ...]:
    """The checks of a stage that loads a model of the user's and its tokenizer.

    Args:
        location: folder or hub id; None where a stage makes the model.
    """
    return () if location is None else (partial(_loads_model, location), partial(_loads_tokenizer, location))


def _loads_model(location: str, known: Known) -> None:
    model = known.read_model(location)
    if model is not None:
        check_encoder(model)


def _loads_tokenizer(location: str, known: Known) -> None:
    vocabulary, model = known.read_vocabulary(location), known.model(location)
    if vocabulary and model is not None and model.vocab_size:
        check_ids(vocabulary, model.vocab_size)


def reads_corpus(known: Known) -> None:
    """Check that the teacher has positions for the sequences of the corpus."""
    corpus, teacher = known.config.corpus, known.teacher
    if corpus is not None and teacher is not None and teacher.positions:
        check_length(corpus.max_length, teacher.positions, "corpus.max_length")


def reads_task(known: Known) -> None:
    """Check that the teacher has positions for the rows of the task."""
    teacher = known.teacher
    if teacher is not None:
        _check_task_length(known, teacher.positions)


def _check_task_length(known: Known, positions: int) -> None:
    length = known.max_length
    if positions and length:
        check_length(length, positions, "task.max_length")


def shares_vocabulary(known: Known) -> None:
    """Check that the corpus is cut into the word pieces of the teacher.

    Of a vocabulary that is yet to be trained only its greatest size is known; a smaller one differs from the teacher's.
    """
    corpus, teacher = known.config.corpus, known.config.teacher.model
    if corpus is None or not teacher or not corpus.tokenizer:
        return
    own = known.vocabulary(teacher)
    trained = isinstance(corpus.tokenizer, TokenizerTraining)
    if isinstance(corpus.tokenizer, TokenizerTraining):
        size, differs = corpus.tokenizer.vocab_size, own is not None and corpus.tokenizer.vocab_size < len(own)
    else:
        other = known.vocabulary(corpus.tokenizer)
        size, differs = len(other or ()), own is not None and other is not None and other != own
    if own is not None and differs:
        raise ModelError(
            f"the teacher is {teacher}, whose vocabulary ({len(own)} word pieces) is not that of the corpus "
            f"({f'trained, {size}' if trained else size}): leave corpus.tokenizer empty to use the teacher's"
        )


def students_fit(students: Iterable[StudentConfig], terms: Terms | None) -> Iterator[Check]:
    """The checks of a stage that makes students: of each its shape, its start, and what it is to imitate.

    Args:
        students: that are made.
        terms: what they imitate of the teacher's layers; None if nothing.
    """
    if terms is not None:
        yield partial(_imitates, terms)
    for student in students:
        yield partial(_has_a_shape, student)
        if student.start not in NAMED:
            yield from loads(student.start)
            yield partial(_starts, student)
        if terms is not None:
            yield partial(_maps_layers, student)
            if terms.of(AttentionTerm):
                yield partial(_has_the_heads, student)


def _has_a_shape(student: StudentConfig, known: Known) -> None:
    teacher = known.teacher
    if student.start not in NAMED or teacher is None:
        return
    if student.preset or student.heads or teacher.num_attention_heads:
        student_shape(student, teacher)


def _starts(student: StudentConfig, known: Known) -> None:
    model, teacher = known.start(student), known.teacher
    if model is None:
        return
    if teacher is not None and model.vocab_size and teacher.vocab_size and teacher.tensors is not None:
        _same_size(student, model, teacher)
        own, other = known.vocabulary(student.start), known.vocabulary(teacher.location)
        if own is not None and other is not None and own != other:
            raise ModelError(
                f"student {student.name!r} starts from {model.location}, whose vocabulary ({len(own)} word pieces) is "
                f"not that of the teacher ({len(other)}): start from a model that shares the teacher's vocabulary"
            )
    _check_task_length(known, model.positions)


def _same_size(student: StudentConfig, model: UnloadedModel, teacher: UnloadedModel) -> None:
    if model.vocab_size != teacher.vocab_size:
        raise ModelError(
            f"student {student.name!r} starts from a model with {model.vocab_size} word pieces, the teacher has "
            f"{teacher.vocab_size}: start from one that shares the teacher's vocabulary"
        )


def _imitates(terms: Terms, known: Known) -> None:
    check_any_term(terms)
    teacher = known.teacher
    if terms.of(AttentionTerm) and teacher is not None and teacher.family in NO_ATTENTION_INTERFACE:
        raise ModelError(
            f"a {teacher.family!r} model does not use the Transformers attention interface, so its attention scores "
            "cannot be read: choose a BERT, RoBERTa, ELECTRA or MiniLM encoder, or set terms.attention to 0"
        )


def _maps_layers(student: StudentConfig, known: Known) -> None:
    teacher, start = known.teacher, known.start(student)
    own = PRESETS[student.preset].layers if student.preset else student.layers
    layers = own if student.start in NAMED else start and start.num_hidden_layers
    if not layers or teacher is None or not teacher.num_hidden_layers:
        return
    try:
        layer_map(student.layer_map, layers, teacher.num_hidden_layers)
    except ValueError as error:
        raise ModelError(f"student {student.name!r}: {error}") from error


def _has_the_heads(student: StudentConfig, known: Known) -> None:
    teacher, start = known.teacher, known.start(student)
    own = PRESETS[student.preset].heads if student.preset else student.heads
    heads = own if student.start in NAMED else start and start.num_attention_heads
    if heads and teacher is not None and teacher.num_attention_heads:
        check_heads(student.name, heads, teacher)
