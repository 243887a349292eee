"""Shrunk inputs: rows drawn at random from a task's tables, sequences from a corpus, passages from its text."""

import shutil
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.config.corpus import CorpusConfig
from pipeline.data.corpus.text import Document, corpus_files, documents
from pipeline.data.tasks.table import TaskData
from pipeline.data.tokens.table import TokenTable, TokenTableWriter
from pipeline.data.tokens.tokenizer import load_tokenizer

PASSAGES = 16
BYTES_A_TOKEN = 6  # more than English prose has, so that the span read covers what the run will read


def sample_task(task: TaskData, rows: Mapping[str, int], seed: int) -> TaskData:
    """The task with so many rows of some splits, drawn at random; splits that are not named stay whole.

    A split keeps at least one row of each label it had, where it has room for them.
    """
    splits = dict(task.splits)
    for split, count in rows.items():
        if split in splits:
            splits[split] = splits[split].take(_drawn(splits[split]["label"].to_pylist(), count, seed))
    return replace(task, splits=splits)


def _drawn(labels: Sequence[object], count: int, seed: int) -> np.ndarray:
    order = np.random.default_rng(seed).permutation(len(labels))
    first: dict[object, int] = {}
    for place in order:
        first.setdefault(labels[place], int(place))
    kept = list(first.values())[:count] if len(first) <= count else []
    others = [place for place in order.tolist() if place not in set(kept)]
    return np.sort(np.array([*kept, *others[: count - len(kept)]], dtype=np.int64))


def sample_corpus(corpus: Path, folder: Path, rows: int, seed: int) -> None:
    """A corpus artifact's tokenizer, and so many of its sequences."""
    table = TokenTable.open(corpus / "tokens")
    chosen = np.random.default_rng(seed).permutation(len(table))[:rows]
    tokenizer = load_tokenizer(str(corpus / "tokenizer"))
    with TokenTableWriter(folder / "tokens", vocab_size=len(tokenizer)) as writer:
        for row in np.sort(chosen):
            writer.append(table.rows([row])["input_ids"][0].tolist())
    shutil.copytree(corpus / "tokenizer", folder / "tokenizer")


def sample_text(paths: Sequence[Path], corpus: CorpusConfig, target: Path, num_bytes: int) -> tuple[Path, float]:
    """Passages of a corpus's files as one text file, and how many such files the whole text would make.

    Plain text is read at places spread evenly over what the run will read; of other files the beginning is,
    and their size in text follows from how well such text compresses.

    Args:
        paths: of the corpus.
        corpus: says where to stop, and in which column the text is.
        target: file to write.
        num_bytes: about how many.

    Raises:
        DataError: as reading the corpus would.
    """
    files = corpus_files([str(path) for path in paths])
    size = sum(file.stat().st_size for file in files)
    if all(file.suffix == ".txt" for file in files):
        span = min(size, corpus.max_tokens * BYTES_A_TOKEN) if corpus.max_tokens else size
        text, whole = _passages(files, span, num_bytes), float(size)
    else:
        text = _beginning(documents([str(file) for file in files], corpus.text_column), num_bytes)
        packed = all(file.suffix != ".jsonl" for file in files)
        whole = size * (len(text) / len(zlib.compress(text)) if packed else 1.0)
    target.write_bytes(text)
    return target, whole / max(1, len(text))


def _passages(files: Sequence[Path], span: int, num_bytes: int) -> bytes:
    """Whole lines from evenly spread places of the first ``span`` bytes of all files together."""
    if span <= num_bytes:
        return b"\n\n".join(_slice(file, 0, size) for file, size in _within(files, span))
    ends, found = np.cumsum([file.stat().st_size for file in files]), []
    for start in np.linspace(0, span, PASSAGES, endpoint=False).astype(np.int64):
        place = int(np.searchsorted(ends, start, side="right"))
        offset = int(start - (ends[place - 1] if place else 0))
        found.append(_slice(files[place], offset, num_bytes // PASSAGES))
    return b"\n\n".join(found)


def _within(files: Sequence[Path], span: int) -> list[tuple[Path, int]]:
    starts = np.cumsum([0, *(file.stat().st_size for file in files)])
    return [(file, int(span - start)) for file, start in zip(files, starts[:-1], strict=True) if start < span]


def _slice(file: Path, offset: int, size: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        if offset:
            opened.readline()
        return opened.read(size) + opened.readline()


def _beginning(stream: Iterable[Document], num_bytes: int) -> bytes:
    pieces: list[bytes] = []
    held = 0
    for document in stream:
        pieces.append("\n".join(document).encode())
        held += len(pieces[-1]) + 2
        if held > num_bytes:
            break
    return b"\n\n".join(pieces)
