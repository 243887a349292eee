"""Rows in, a JSON line out for each; ready in well under a second, without torch."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from flows.shipping.engines import open_scorer
from pipeline.errors import DataError
from pipeline.export.answers import WINDOW_ROWS, answer_stream
from pipeline.export.locate import find_bundle
from pipeline.export.rows import format_of, read_rows
from pipeline.store.store import Store


def predict(
    bundle: str,
    file: str,
    form: str | None,
    *,
    text: str,
    pair: str,
    output: str,
    engine: str,
    variant: str,
    threads: int | None,
    quiet: bool,
    store: str,
) -> None:
    """Answer rows with a bundle, in their order, however many there are.

    Args:
        bundle: a reference to an artifact of stage ``export``, or a folder with a bundle.
        file: path of the rows; ``-`` reads standard input.
        form: ``jsonl``, ``csv``, ``tsv`` or ``text``; None goes by the suffix.
        text: key or column of the text.
        pair: key or column of the second text.
        output: path of the file to write; ``-`` is standard output.
        engine: ``onnx`` or ``torch``.
        variant: of the ONNX files, ``float32`` or ``int8``.
        threads: CPU threads; None takes all cores.
        quiet: show no progress bar.
        store: folder of the store.
    """
    found = find_bundle(bundle, Store(store))
    wanted = format_of(file, form)
    with ExitStack() as stack:
        source = stack.enter_context(_source(file))
        scorer = open_scorer(found, engine, variant, threads)
        sink = stack.enter_context(_sink(output))
        passed = stack.enter_context(_bar(file, quiet=quiet))
        rows = read_rows(
            source,
            wanted,
            name="standard input" if file == "-" else file,
            pair=found.facts.pair,
            text_column=text,
            pair_column=pair,
            passed=passed,
        )
        typed = file == "-" and sys.stdin.isatty()
        cut = count = 0
        for answer in answer_stream(scorer, rows, 1 if typed else WINDOW_ROWS):
            sink.write(json.dumps(answer, ensure_ascii=False) + "\n")
            count += 1
            cut += "cut" in answer
            if typed:
                sink.flush()
    if cut:
        _say(f"{cut} of {count} rows are longer than {found.facts.max_length} word pieces and were cut")


@contextmanager
def _source(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).expanduser().open("rb")
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror}): check the path") from error
    with file:
        yield file


@contextmanager
def _sink(name: str) -> Iterator[IO[str]]:
    if name == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    try:
        file = Path(name).expanduser().open("w", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{name} cannot be written ({error.strerror}): name a file in a folder that can") from error
    with file:
        yield file


@contextmanager
def _bar(name: str, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error over the bytes of a file, where that is a terminal."""
    if quiet or name == "-" or not sys.stderr.isatty():
        yield lambda _bytes: None
        return
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=Path(name).expanduser().stat().st_size)
        yield lambda count: progress.advance(task, count)


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
