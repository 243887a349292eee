"""The work of stage ``candidates``: for each distinct sentence of the task's rows, find replacements for its words.

The sentences are cut into shards. Any worker can make any shard; it opens the model and the vectors once.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Literal

import torch

from pipeline.augmentation.candidates.files import ROWS, join_shards, write_shard
from pipeline.augmentation.candidates.glove import cached_vectors
from pipeline.augmentation.candidates.masked_lm import MaskedLM
from pipeline.augmentation.candidates.table import CandidateTable
from pipeline.augmentation.candidates.vectors import for_words, from_input_embeddings
from pipeline.augmentation.variants.shards import make_shards, open_batches, shard_path
from pipeline.augmentation.words.sentences import write_sentences
from pipeline.config.augmentation import VectorsConfig
from pipeline.config.runtime import Runtime
from pipeline.config.user_dir import user_dir
from pipeline.config.words import WordsConfig
from pipeline.data.tasks.table import task_rows
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.inputs import model_input
from pipeline.engine.run_training import describe_device, device
from pipeline.models.load import load_masked_lm
from pipeline.models.mlm import mlm_head
from pipeline.models.source import ModelSource
from pipeline.models.speed.frozen import freeze
from pipeline.models.speed.partial_forward import partial_forward
from pipeline.store.stage import StageRun

SENTENCES, SHARDS = "sentences.arrow", "shards"
SHARD_SENTENCES = 2_048  # at most this many sentences are lost by a kill
CUDA_TOKENS, CPU_TOKENS = 1 << 15, 1 << 12  # of a batch; a CPU is busy with fewer
Context = Literal["paired", "masked", "unmasked"]
_opening = Lock()


@dataclass(frozen=True)
class Proposals:
    """The settings that candidates depend on; the fields are those of ``run``."""

    mlm: Literal["model"] | None
    vectors: VectorsConfig | None
    candidates: int
    context: Context
    masks_per_forward: int | Literal["all"]
    words: WordsConfig


@dataclass(frozen=True)
class Work:
    """What a worker needs to make a shard. Two with the same scratch folder compare equal.

    Attributes:
        scratch: scratch folder of the stage, absolute.
        proposals: the settings.
        source: the masked LM, or the model whose tokenizer is used.
        vectors: file of word vectors; None without.
        runtime: device of the masked LM.
        threads: number of threads that torch uses in the main process; a worker uses as many, because rounding
            depends on it.
    """

    scratch: Path
    proposals: Proposals = field(compare=False)
    source: ModelSource = field(compare=False)
    vectors: Path | None = field(compare=False)
    runtime: Runtime = field(compare=False)
    threads: int = field(compare=False)


def run(
    run: StageRun,
    *,
    mlm: Literal["model"] | None,
    vectors: VectorsConfig | None,
    candidates: int,
    context: Context,
    masks_per_forward: int | Literal["all"],
    words: WordsConfig,
    unlabelled: bool,
) -> None:
    """Write the candidates of every sentence.

    Args:
        run: this stage's execution; inputs ``task_data``, ``mlm`` or ``tokenizer``, ``vectors`` and ``segmenter``.
        mlm: "model" if the masked LM of input ``mlm`` proposes candidates; None if not.
        vectors: settings of the word vectors that propose candidates; None without.
        candidates: largest number of candidates for a word.
        context: what the masked LM reads: "paired" the masked and the original sentence, "masked" the masked one,
            "unmasked" the original one.
        masks_per_forward: number of words that are masked in one forward pass.
        words: how a text is split into words, and which of them are never replaced.
        unlabelled: also for the unlabelled rows.
    """
    task_data, cut = run.artifact("task_data"), run.scratch / SENTENCES
    rows = partial(task_rows, task_data, unlabelled=unlabelled)
    columns = [name for name in ("text", "text_pair") if name in next(rows()).schema.names]
    write_sentences(rows, columns, cut, run.output / ROWS, shard_sentences=SHARD_SENTENCES)
    described = describe_device(run.runtime)
    work = Work(
        scratch=run.scratch.absolute(),  # workers may have another working directory
        proposals=Proposals(mlm, vectors, candidates, context, masks_per_forward, words),
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


def _anchored(source: ModelSource) -> ModelSource:
    folder = Path(source.location)
    return replace(source, location=str(folder.absolute())) if folder.is_dir() else source


def make_shard(work: Work, number: int) -> None:
    """Compute the candidates of one shard's sentences and write them.

    Args:
        work: settings and folders.
        number: number of the shard, from 0.
    """
    texts = open_batches(work.scratch / SENTENCES).get_batch(number)["text"].to_pylist()
    with _opening:  # of two threads one opens the model, and the other uses it as well
        table = _table(work)
        if torch.get_num_threads() != work.threads:
            torch.set_num_threads(work.threads)
    write_shard(shard_path(work.scratch / SHARDS, number), texts, table)


@lru_cache(maxsize=1)
def _table(work: Work) -> CandidateTable:
    settings, source = work.proposals, work.source
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
            partial_forward=partial_forward(model),
            context=settings.context,
            masks=None if settings.masks_per_forward == "all" else settings.masks_per_forward,
            device=where,
            max_tokens=CUDA_TOKENS if where.type == "cuda" else CPU_TOKENS,
        )
        vectors = for_words(from_input_embeddings(model, tokenizer), tokenizer, settings.words)
    if work.vectors:
        most = settings.vectors.max_words if settings.vectors else None
        vectors = cached_vectors(work.vectors, most, user_dir() / "vectors")
    return CandidateTable(tokenizer, mlm, vectors, settings.candidates, settings.words)
