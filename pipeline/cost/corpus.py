"""What the corpus will cost, and the trainings that read it."""

from math import inf
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from pipeline.config.corpus import CorpusConfig, TokenizerTraining
from pipeline.cost.arithmetic import StageCost, seconds_to
from pipeline.cost.context import RehearsalContext
from pipeline.cost.samples import sample_corpus, sample_text
from pipeline.cost.training import small, train_cost
from pipeline.data.tasks.paths import hub_folder
from pipeline.data.tokens.table import TokenTable
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.models.load import load_encoder
from pipeline.models.mlm import build_masked_lm

SAMPLE_TOKENS, SAMPLE_BYTES = 150_000, 800_000


def corpus_cost(context: RehearsalContext) -> tuple[NDArray[np.int32], float, StageCost | None]:
    """Lengths of the corpus's sequences (or of some), how many there will be, and what making them costs.

    The cost is None where the corpus is finished.
    """
    if context.action("corpus") == "reuse":
        lengths = TokenTable.open(context.artifacts["corpus"] / "tokens").lengths
        return lengths, len(lengths), None
    stage = context.stages["corpus"]
    wanted: CorpusConfig = stage.config.corpus
    given = context.inputs("corpus")["text"]
    paths = given if isinstance(given, tuple) else ()
    if paths and not wanted.hub:
        # max_tokens counts word pieces of the run; of the sample all are read.
        text, whole = sample_text(paths, wanted, context.store.root / "sample.txt", SAMPLE_BYTES)
        config = wanted.model_copy(update={"max_tokens": None})
        done = context.rehearse("corpus", stage.config.model_copy(update={"corpus": config}), text=(text,))
        tokens = min(wanted.max_tokens or inf, done.metrics["tokens"] * whole)
    else:
        most = wanted.max_tokens if wanted.packages else SAMPLE_TOKENS
        limit = min(SAMPLE_TOKENS, most) if most else None
        config = wanted.model_copy(update={"max_tokens": limit})
        done = context.rehearse("corpus", stage.config.model_copy(update={"corpus": config}))
        whole, tokens = 1.0, wanted.max_tokens or _unlimited(context, wanted, done.metrics["tokens"])
    context.artifacts["corpus"] = done.folder
    seconds = seconds_to(done.marks, done.seconds, tokens)
    if isinstance(wanted.tokenizer, TokenizerTraining):
        seconds += max(0.0, whole - 1) * done.marks[0][0]  # the vocabulary is learned from all of the text
    lengths = TokenTable.open(done.folder / "tokens").lengths
    cost = StageCost(
        "corpus",
        context.action("corpus"),
        seconds=seconds,
        disk_bytes=_bytes(done.folder / "tokens") * tokens / done.metrics["tokens"] + _bytes(done.folder / "tokenizer"),
        peak_bytes=done.peak_bytes,
        basis=f"{tokens:,.0f} word pieces, {done.metrics['tokens']:,} timed",
    )
    return lengths, tokens / float(lengths.mean()), cost


def _unlimited(context: RehearsalContext, wanted: CorpusConfig, rehearsed: float) -> float:
    """Word pieces of a corpus without a limit that is not in files: what of it was read."""
    if not wanted.packages:
        name = hub_folder(wanted.hub) or wanted.hub
        context.notes.append(
            f"nobody says how large {name} is: the corpus is counted as {rehearsed:,.0f} word pieces; "
            "set corpus.max_tokens to have it counted"
        )
    return rehearsed


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def on_corpus_cost(name: str, context: RehearsalContext, lengths: NDArray[np.int32], rows: float) -> StageCost:
    """What pretraining or general distillation will cost.

    Args:
        name: of the stage.
        context: of the rehearsal.
        lengths: of the corpus's sequences, or of some.
        rows: how many there will be.
    """
    if not context.forward_seconds:
        context.measure_teacher(_teacher(name, context))
    longest = int(lengths.max())
    shrunk = small(name, context, lengths, longest)
    corpus = context.artifacts["corpus"]
    folder = context.sealed("corpus", lambda output: sample_corpus(corpus, output, shrunk.rows, context.config.seed))
    here = TokenTable.open(folder / "tokens").lengths
    return train_cost(
        name,
        context,
        shrunk,
        here=here,
        there=lengths,
        rows=rows,
        max_length=longest,
        scored=False,
        corpus=folder,
    )


def _teacher(name: str, context: RehearsalContext) -> PreTrainedModel:
    """The model that the stage trains, or learns from."""
    role = "encoder" if name == "pretrain" else "teacher"
    shape = context.config.pretrain.architecture if context.config.pretrain else None
    if name == "pretrain" and shape is not None:
        tokenizer = load_tokenizer(str(context.artifacts["corpus"] / "tokenizer"))
        length = context.config.pretrain.max_length if context.config.pretrain else 0
        model = build_masked_lm(
            shape, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, max_length=length
        )
        return cast("PreTrainedModel", model.base_model)
    return load_encoder(context.model(name, role))
