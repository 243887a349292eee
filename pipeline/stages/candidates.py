"""Stage ``candidates``: for each distinct sentence of the task's rows, what may stand in place of its words.

This is the slow half of the augmentation: it alone reads the masked LM and the vectors. How many variants are drawn,
with which probability and seed, is no part of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from pipeline.augmentation.words.segmentation import own_code
from pipeline.config.augmentation import VectorsConfig
from pipeline.config.base import Config
from pipeline.config.builtin import home_path
from pipeline.config.extras import require_workers
from pipeline.config.own_folder import own_folder
from pipeline.config.run import RunConfig
from pipeline.config.runtime import Runtime
from pipeline.config.words import WordsConfig
from pipeline.engine.inputs import model_input
from pipeline.engine.run_training import describe_device, device
from pipeline.errors import ConfigError, ModelError
from pipeline.models.unloaded import MASKED_LM_HEADS
from pipeline.stages.checks import Check, loads
from pipeline.stages.known import Known
from pipeline.stages.teacher_input import masked_lm, pretrained_teacher
from pipeline.store.source import Source
from pipeline.store.stage import Stage, StageRun

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.augmentation.candidates.table import CandidateTable
    from pipeline.models.source import ModelSource

SENTENCES, SHARDS = "sentences.arrow", "shards"
# A shard is what a kill may cost: so many sentences, or fewer where they are long; or so many rows, to draw from.
SHARD_SENTENCES = READ_ROWS = 2_048
CUDA_TOKENS = 1 << 15  # of a batch; a CPU is busy with fewer
_opening = Lock()


class CandidatesStage(Config):
    """What the candidates depend on beside the rows, the masked LM and the vectors."""

    mlm: Literal["model"] | None
    vectors: VectorsConfig | None
    candidates: NonNegativeInt
    context: Literal["paired", "masked", "unmasked"]
    masks_per_forward: PositiveInt | Literal["all"]
    words: WordsConfig
    unlabelled: bool


def candidates(config: RunConfig, task_data: Stage[Any], pretrain: Stage[Any] | None) -> Stage[CandidatesStage]:
    """Candidates for the words of the rows that are to be augmented."""
    wanted = config.augmentation
    if wanted is None:
        raise ConfigError("there is no augmentation in this configuration: add an augmentation section")
    proposing = any("tinybert" in child for child in wanted.augmenters)  # the others ask for words alone
    mlm, vectors = (masked_lm(config, pretrain), wanted.vectors) if proposing else (None, None)
    inputs: dict[str, Any] = {"task_data": task_data}
    if mlm is not None:
        inputs["mlm"] = mlm
    elif proposing and (vectors is None or not vectors.path):
        raise ConfigError("augmentation.mlm and augmentation.vectors are both empty: name a masked LM or vectors")
    else:
        inputs["tokenizer"] = pretrained_teacher(config, pretrain)
    if vectors is not None and vectors.path:
        inputs["vectors"] = Source(paths=(str(home_path(vectors.path)),))
        vectors = vectors.model_copy(update={"path": "file"})
    settings = CandidatesStage(
        mlm="model" if mlm is not None else None,
        vectors=vectors,
        candidates=wanted.candidates if proposing else 0,
        context=wanted.context if mlm is not None else "unmasked",
        masks_per_forward=1 if mlm is None or wanted.context == "unmasked" else wanted.masks_per_forward,
        words=wanted.words,
        unlabelled=wanted.unlabelled,
    )
    return Stage("candidates", 3, settings, inputs | segmenter_input(wanted.words), _run)


def segmenter_input(words: WordsConfig) -> dict[str, Source]:
    """The code of a segmenter of the user's own, known by its content; a function that is not there is missed here."""
    code = own_code(words.segmentation)
    return {"segmenter": Source(paths=code, only=("*.py",))} if code else {}


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before candidates are proposed: a masked LM with its head, vectors, workers."""
    wanted = config.augmentation
    if wanted is None:
        return ()
    require: tuple[Check, ...] = (lambda known: require_workers(known.config.runtime.workers),)
    if not any("tinybert" in child for child in wanted.augmenters):
        return require
    vectors = (_check_vectors,) if wanted.vectors and wanted.vectors.path else ()
    if wanted.mlm is None:
        return (*require, *vectors)
    if wanted.mlm == "teacher":
        return (*require, *vectors, *(() if config.pretrain else (partial(_check_head, config.teacher.model or ""),)))
    return (*require, *vectors, *loads(wanted.mlm), partial(_check_head, wanted.mlm))


def _check_vectors(known: Known) -> None:
    from pipeline.augmentation.candidates.glove_lines import check_first_lines

    wanted = known.config.augmentation
    if wanted and wanted.vectors and wanted.vectors.path:
        check_first_lines(home_path(wanted.vectors.path))


def _check_head(location: str, known: Known) -> None:
    model = known.model(location)
    if model is None or model.family not in MASKED_LM_HEADS or model.has_weights(*MASKED_LM_HEADS[model.family]):
        return
    raise ModelError(
        f"{model.location} has no masked-LM head: fit one with pretrain.mode: mlm_head, name another "
        "augmentation.mlm, or set it to null"
    )


@dataclass(frozen=True)
class Work:
    """What any worker needs to make a shard; two with the same scratch are the same work.

    ``threads`` are those torch uses where the work is led: sums round by their number, and a worker may begin with one.
    """

    scratch: Path
    settings: CandidatesStage = field(compare=False)
    source: "ModelSource" = field(compare=False)
    vectors: Path | None = field(compare=False)
    runtime: Runtime = field(compare=False)
    threads: int = field(compare=False)


def task_rows(task_data: Path, *, unlabelled: bool) -> "Iterator[pa.RecordBatch]":
    """The rows to augment, a few at a time; a task has some."""
    from pyarrow import parquet

    for split in ("train", "unlabelled") if unlabelled else ("train",):
        path = task_data / f"{split}.parquet"
        if path.exists():
            file = parquet.ParquetFile(path, memory_map=True)
            columns = [name for name in ("row_id", "text", "text_pair") if name in file.schema_arrow.names]
            yield from file.iter_batches(READ_ROWS, columns=columns)


def _run(config: CandidatesStage, run: StageRun) -> None:
    from pipeline.augmentation.candidates.files import ROWS, join_shards
    from pipeline.augmentation.variants.shards import make_shards
    from pipeline.augmentation.words.sentences import write_sentences

    task_data, cut = run.artifact("task_data"), run.scratch / SENTENCES
    rows = partial(task_rows, task_data, unlabelled=config.unlabelled)
    columns = [name for name in ("text", "text_pair") if name in next(rows()).schema.names]
    write_sentences(rows, columns, cut, run.output / ROWS, shard_sentences=SHARD_SENTENCES)
    described = describe_device(run.runtime)
    work = Work(
        scratch=run.scratch.absolute(),  # workers may stand elsewhere
        settings=config,
        source=_anchored(model_input(run, "mlm" if run.has("mlm") else "tokenizer")),
        vectors=run.paths("vectors")[0].absolute() if run.has("vectors") else None,
        runtime=run.runtime,
        threads=int(described["threads"]),
    )
    try:
        zero = _table(work).num_zero_vectors  # a user's mistake shows here, once, and not in every worker
        shards = make_shards(partial(make_shard, work), cut, run.scratch / SHARDS, run.fan_out, run.progress)
    finally:
        _table.cache_clear()
    run.record(**join_shards(shards, run.output), zero_vectors=zero, **described)


def _anchored(source: "ModelSource") -> "ModelSource":
    folder = Path(source.location)
    return replace(source, location=str(folder.absolute())) if folder.is_dir() else source


def make_shard(work: Work, number: int) -> None:
    """Compute the candidates of one shard's sentences and write them."""
    import torch

    from pipeline.augmentation.candidates.files import write_shard
    from pipeline.augmentation.variants.shards import open_batches, shard_path

    texts = open_batches(work.scratch / SENTENCES).get_batch(number)["text"].to_pylist()
    with _opening:  # of two threads one opens the model, and the other uses it as well
        table = _table(work)
        if torch.get_num_threads() != work.threads:
            torch.set_num_threads(work.threads)
    write_shard(shard_path(work.scratch / SHARDS, number), texts, table)


@lru_cache(maxsize=1)
def _table(work: Work) -> "CandidateTable":
    from pipeline.augmentation.candidates.composed import for_words
    from pipeline.augmentation.candidates.masked_lm import MaskedLM
    from pipeline.augmentation.candidates.table import CandidateTable
    from pipeline.augmentation.candidates.vectors import from_input_embeddings
    from pipeline.augmentation.candidates.vectors_cache import cached_vectors
    from pipeline.data.tokens.tokenizer import load_tokenizer
    from pipeline.models.load import load_masked_lm
    from pipeline.models.mlm import mlm_head
    from pipeline.models.speed.frozen import freeze
    from pipeline.models.speed.partial_forward import hidden_at

    settings, source = work.settings, work.source
    tokenizer = load_tokenizer(source.location, source.revision)
    mlm, vectors = None, None
    if settings.mlm:
        where = device(work.runtime)
        model = load_masked_lm(source)
        freeze(model)
        mlm = MaskedLM(
            model,
            tokenizer,
            head=mlm_head(model),
            hidden_at=hidden_at(model),
            context=settings.context,
            masks=None if settings.masks_per_forward == "all" else settings.masks_per_forward,
            device=where,
            max_tokens=CUDA_TOKENS if where.type == "cuda" else 4096,
        )
        vectors = for_words(from_input_embeddings(model, tokenizer), tokenizer, settings.words)
    if work.vectors:
        most = settings.vectors.max_words if settings.vectors else None
        vectors = cached_vectors(work.vectors, most, own_folder() / "vectors")
    return CandidateTable(tokenizer, mlm, vectors, settings.candidates, settings.words)
