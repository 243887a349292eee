"""Share of the corpus: passages of its files, or its beginning, are made into a corpus."""

from math import inf
from pathlib import Path
from typing import Any

from pipeline.config.corpus import CorpusConfig, TokenizerTraining
from pipeline.cost.arithmetic import StageCost, seconds_to
from pipeline.cost.context import RehearsalContext
from pipeline.cost.samples import sample_text
from pipeline.data.tasks.hub_folder import hub_folder
from pipeline.store.source import Source
from pipeline.store.stage import Stage

SAMPLE_TOKENS, SAMPLE_BYTES = 150_000, 800_000


def share(context: RehearsalContext, stage: Stage[Any]) -> StageCost:
    """Rehearse the corpus on a part of its text, and estimate its cost."""
    wanted: CorpusConfig = stage.config.corpus
    given = stage.inputs["text"]
    files = [Path(path) for path in given.paths] if isinstance(given, Source) and not wanted.hub else []
    text: dict[str, tuple[Path, ...]] = {}
    if files:  # max_tokens counts word pieces of the run; of the sample all are read
        sample, whole = sample_text(files, wanted, context.store.root / "sample.txt", SAMPLE_BYTES)
        text, limit = {"text": (sample,)}, None
    else:
        most = wanted.max_tokens if wanted.packages else SAMPLE_TOKENS
        whole, limit = 1.0, min(SAMPLE_TOKENS, most) if most else None
    config = stage.config.model_copy(update={"corpus": wanted.model_copy(update={"max_tokens": limit})})
    done = context.rehearse(stage, config, **text)
    timed = done.metrics["tokens"]
    tokens = min(wanted.max_tokens or inf, timed * whole) if files else wanted.max_tokens or timed
    if not (files or wanted.max_tokens or wanted.packages):
        context.notes.append(
            f"nobody says how large {hub_folder(wanted.hub) or wanted.hub} is: the corpus is counted as {timed:,.0f} "
            "word pieces; set corpus.max_tokens to have it counted"
        )
    context.scale[stage.name] = tokens / timed
    seconds = seconds_to(done.marks, done.seconds, tokens)
    if isinstance(wanted.tokenizer, TokenizerTraining):
        seconds += max(0.0, whole - 1) * done.marks[0][0]  # the vocabulary is learned from all of the text
    return context.cost(
        stage,
        done,
        f"{tokens:,.0f} word pieces, {timed:,} timed",
        seconds=seconds,
        disk_bytes=_bytes(done.folder / "tokens") * tokens / timed + _bytes(done.folder / "tokenizer"),
    )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
