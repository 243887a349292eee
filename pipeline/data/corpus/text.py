"""Text corpora as streams of documents; a document is a list of paragraphs.

A ``.txt`` file holds a paragraph a line and a blank line between documents; a row of a ``.jsonl`` or
``.parquet`` file is one document, a line of its text one paragraph. Text files may be compressed (``.gz``, ``.zst``).
Only the current document is in memory; a document larger than ``MAX_DOCUMENT_CHARS`` is split.
"""

import glob
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.corpus.lines import Line, numbered_lines
from pipeline.errors import DataError

Document = list[str]

MAX_DOCUMENT_CHARS = 1 << 20
PARQUET_BATCH_ROWS = 256
NUM_OPENED = 32
"""Files whose first document is read before a run; the others are only read in the run."""


def corpus_files(paths: Sequence[str]) -> list[Path]:
    """Return the files that paths and globs name: globs sorted, each file once and checked.

    Raises:
        DataError: nothing matches, a file is missing or empty, or its kind is unknown.
    """
    if not paths:
        raise DataError("no corpus files are named: give paths or globs, such as corpora/*.txt")
    unique: dict[Path, None] = {}
    for pattern in paths:
        files = _expand(str(Path(pattern).expanduser()))
        if not files:
            raise DataError(f"no file matches {pattern!r}: check the path and the pattern")
        unique.update(dict.fromkeys(files))
    for path in unique:
        _check_file(path)
    return list(unique)


def documents(paths: Sequence[str], text_column: str = "text") -> Iterator[Document]:
    """Stream the documents of text files, in the order of their names.

    Args:
        paths: files or globs (``**`` descends): .txt, .jsonl, .parquet; the first two also .gz or .zst.
        text_column: name of the column or key with the text in .parquet and .jsonl files.

    Raises:
        DataError: at once for a file that is missing, empty, of unknown kind or without the column; while reading for a
            file that is binary, not UTF-8, malformed or without text.
    """
    files = corpus_files(paths)
    for path in files:
        if path.suffix == ".parquet":
            _check_parquet(path, text_column)
    return _stream(files, text_column)


def check_beginnings(paths: Sequence[str], text_column: str = "text") -> None:
    """Check every file of a corpus and read the first document of some, to find errors before a run.

    Raises:
        DataError: a file cannot be read, as in ``documents``.
    """
    for path in corpus_files(paths)[:NUM_OPENED]:
        next(documents([str(path)], text_column))


def hub_documents(
    name: str, split: str, text_column: str, revision: str | None = None, config: str | None = None
) -> Iterator[Document]:
    """Stream the documents of a dataset on the hub, or in a local folder, without downloading it whole.

    Raises:
        DataError: the dataset, its split or the column does not exist.
    """
    for row in _hub_rows(name, split, revision, config):
        if text_column not in row:
            raise _no_column(f"dataset {name!r}", text_column, row)
        yield from _pieces(_paragraphs_of(row[text_column], f"dataset {name!r}, column {text_column!r}"))


def _hub_rows(name: str, split: str, revision: str | None, config: str | None) -> Iterator[dict[str, Any]]:
    from datasets import load_dataset  # it loads torch, which files have no need of

    from pipeline.hub import asking_hub

    try:
        with asking_hub(name, "name files with corpus.paths", DataError):
            yield from load_dataset(name, config, split=split, revision=revision, streaming=True)
    except DataError:
        raise
    except Exception as error:  # the library raises many kinds
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(f"dataset {name!r}, split {split!r}: {reason}") from error


def _expand(pattern: str) -> list[Path]:
    if Path(pattern).exists() or not glob.has_magic(pattern):  # a name may hold a bracket
        return [Path(pattern)]
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob refuses absolute patterns
    return sorted(path for path in map(Path, matches) if path.is_file())


def _stream(files: Iterable[Path], text_column: str) -> Iterator[Document]:
    for path in files:
        empty = True
        for document in _read(path, text_column):
            empty = False
            yield document
        if empty:
            raise DataError(f"{path}: no text in it: remove it from the corpus")


def _read(path: Path, text_column: str) -> Iterator[Document]:
    kind = _kind(path)
    if kind == ".txt":
        return _txt_documents(numbered_lines(path, split_long=True))
    rows = _parquet_rows(path, text_column) if kind == ".parquet" else _jsonl_rows(path, text_column)
    return (piece for row in rows for piece in _pieces(row))


def _txt_documents(lines: Iterable[Line]) -> Iterator[Document]:
    """Yield the documents between blank lines."""
    document: Document = []
    size = 0
    for _, text in lines:
        blank = not text.strip()
        if document and (blank or size + len(text) > MAX_DOCUMENT_CHARS):
            yield document
            document, size = [], 0
        if not blank:
            document.append(text)
            size += len(text)
    if document:
        yield document


def _pieces(paragraphs: Document) -> Iterator[Document]:
    """Split a document between paragraphs into pieces of at most ``MAX_DOCUMENT_CHARS``."""
    return _txt_documents(Line(0, paragraph) for paragraph in paragraphs)


def _jsonl_rows(path: Path, text_column: str) -> Iterator[Document]:
    for number, text in numbered_lines(path):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            raise DataError(f"{path}:{number}: not JSON ({error}): one object a line") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: {type(row).__name__}, not an object: one object a line")
        if text_column not in row:
            raise _no_column(f"{path}:{number}", text_column, row)
        yield _paragraphs_of(row[text_column], f"{path}:{number}, column {text_column!r}")


def _parquet_rows(path: Path, text_column: str) -> Iterator[Document]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(PARQUET_BATCH_ROWS, columns=[text_column], use_threads=False):
                for text in batch.column(0).to_pylist():
                    yield _paragraphs_of(text, f"{path}, column {text_column!r}")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None


def _paragraphs_of(text: Any, where: str) -> Document:
    if text is None:
        return []
    if not isinstance(text, str):
        raise DataError(f"{where}: {type(text).__name__} {text!r:.40}, not text: choose a column of text")
    return text.split("\n")


def _kind(path: Path) -> str:
    compressed = path.suffix in {".gz", ".zst"}
    return path.with_suffix("").suffix if compressed else path.suffix


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path} is a folder: name its files, such as {path}/*.txt")
    if not path.exists():
        raise DataError(f"{path} does not exist: check the path (relative ones start in {Path.cwd()})")
    if _kind(path) not in {".txt", ".jsonl", ".parquet"} or path.name.endswith((".parquet.gz", ".parquet.zst")):
        raise DataError(
            f"{path}: kind {''.join(path.suffixes[-2:]) or 'without a suffix'!r} is not read: "
            "use .txt or .jsonl (also .gz, .zst) or .parquet"
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path}: empty, 0 bytes: remove it from the corpus or fetch it again")


def _check_parquet(path: Path, text_column: str) -> None:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a Parquet file ({' '.join(str(error).split())})") from None
    if text_column not in schema.names:
        raise _no_column(str(path), text_column, schema.names)


def _no_column(where: str, column: str, names: Iterable[str]) -> DataError:
    return DataError(f"{where}: no column {column!r}: the columns are {', '.join(map(str, names)) or 'none'}")
