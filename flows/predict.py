"""``tinybert predict``: rows in, a JSON line out for each; ready in well under a second, without torch."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, BinaryIO

import typer

from flows.artifacts import STORE, StoreOption
from pipeline.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pipeline.export.bundle import OpenBundle
    from pipeline.export.scorer import Scorer

ENGINES = ("onnx", "torch")
BundleArgument = Annotated[
    str, typer.Argument(metavar="REF|FOLDER", help="export, export/v3, a tag, or a folder with a bundle.")
]
VariantOption = Annotated[
    str, typer.Option(help="float32, or int8: smaller, faster, and rows of one pass touch each other a little.")
]
EngineOption = Annotated[str, typer.Option(help="onnx, or torch (slow to start).")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; all cores without it.")]


def predict(
    bundle: BundleArgument,
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="JSONL, CSV, TSV or plain text; - is a pipe.")] = "-",
    form: Annotated[
        str | None, typer.Option("--format", help="jsonl, csv, tsv or text; by the suffix without it.")
    ] = None,
    text: Annotated[str, typer.Option(help="Key or column of the text.")] = "text",
    pair: Annotated[str, typer.Option(help="Key or column of the second text.")] = "text_pair",
    output: Annotated[str, typer.Option("--output", "-o", help="A file to write; - is standard output.")] = "-",
    engine: EngineOption = "onnx",
    variant: VariantOption = "float32",
    threads: ThreadsOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    store: StoreOption = STORE,
) -> None:
    """Answer rows with a bundle: a JSON line for each, in their order, however many there are."""
    from pipeline.export.answers import WINDOW_ROWS, answer_stream
    from pipeline.export.locate import find_bundle
    from pipeline.export.rows import format_of, read_rows
    from pipeline.store.store import Store

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


def open_scorer(bundle: "OpenBundle", engine: str, variant: str, threads: int | None) -> "Scorer":
    """The model of a bundle, ready to answer.

    Args:
        bundle: where it is.
        engine: ``onnx`` or ``torch``.
        variant: of the ONNX files, ``float32`` or ``int8``.
        threads: that a forward pass computes with; None leaves it to the engine.

    Raises:
        ConfigError: there is no such engine, or it has no such variant.
    """
    if engine not in ENGINES:
        raise ConfigError(f"--engine {engine!r} is unknown: choose {' or '.join(ENGINES)}")
    if engine == "torch":
        if variant != "float32":
            raise ConfigError(f"--variant {variant} is an ONNX file: leave out --engine torch")
        from pipeline.engine.torch_scorer import TorchScorer

        return TorchScorer(bundle, threads)
    from pipeline.export.onnx_scorer import OnnxScorer

    return OnnxScorer(bundle, bundle.variant(variant), threads)


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
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=Path(name).expanduser().stat().st_size)
        yield lambda count: progress.advance(task, count)


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
