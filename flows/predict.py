"""``tinybert predict``: rows in, a JSON line out for each; ready in well under a second, without torch."""

from typing import Annotated

import typer

from flows.artifacts import STORE, StoreOption
from flows.later import Later

work_of_predict = Later("flows.shipping.predict:predict")
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
    work_of_predict(
        bundle,
        file,
        form,
        text=text,
        pair=pair,
        output=output,
        engine=engine,
        variant=variant,
        threads=threads,
        quiet=quiet,
        store=store,
    )
