"""``tinybert export``, ``predict`` and ``serve``: make a bundle of ONNX files from a student, and answer with it.

``predict`` is ready in well under a second, without torch. ``serve`` answers what it has taken before it ends.
"""

import os
from typing import Annotated

import typer

from flows.arguments import JsonOption
from flows.artifacts import STORE, StoreOption
from flows.later import Later
from flows.services.state import is_loopback
from pipeline.errors import ConfigError
from pipeline.export.requirements import TO_SERVE, require

API_KEY = "TINYBERT_API_KEY"
read_settings, work_of_export = Later("flows.shipping.export:read_settings"), Later("flows.shipping.export:export")
work_of_predict, work_of_serve = Later("flows.shipping.predict:predict"), Later("flows.shipping.serve:serve")
BundleArgument = Annotated[
    str, typer.Argument(metavar="REF|FOLDER", help="export, export/v3, a tag, or a folder with a bundle.")
]
VariantOption = Annotated[
    str, typer.Option(help="float32, or int8: smaller, faster, and rows of one pass touch each other a little.")
]
EngineOption = Annotated[str, typer.Option(help="onnx, or torch (slow to start).")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; all cores without it.")]


def export(
    ref: Annotated[str, typer.Argument(help="prediction, prediction/v3, a tag, or the start of a fingerprint.")] = (
        "prediction"
    ),
    student: Annotated[str | None, typer.Option(help="This student alone; all of them without it.")] = None,
    int8: Annotated[bool, typer.Option("--int8/--no-int8", help="Write an int8 file as well.")] = True,
    reduce_range: Annotated[
        bool, typer.Option("--reduce-range", help="Seven bits, for processors without VNNI.")
    ] = False,
    min_parity: Annotated[
        float | None, typer.Option(help="Smallest share of dev rows with the student's label; float32.")
    ] = None,
    min_parity_int8: Annotated[float | None, typer.Option(help="The same for int8; below it there is none.")] = None,
    latency: Annotated[
        bool, typer.Option("--latency", help="Time torch and the ONNX files in turns, on this machine.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of --latency; all cores without it.")] = None,
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Write a finished student's ONNX files (float32 and int8) and measure them on the dev rows."""
    settings = read_settings(
        int8=int8, reduce_range=reduce_range, min_parity=min_parity, min_parity_int8=min_parity_int8
    )
    work_of_export(ref, student, settings, latency=latency, threads=threads, store=store, as_json=as_json)


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


def serve(
    bundle: BundleArgument,
    host: Annotated[str, typer.Option(help=f"Address; beyond loopback {API_KEY} has to be set.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    engine: EngineOption = "onnx",
    variant: VariantOption = "float32",
    threads: ThreadsOption = None,
    batch_rows: Annotated[int, typer.Option(min=1, help="Rows of one forward pass.")] = 64,
    wait_ms: Annotated[
        float, typer.Option(min=0, help="How long a request waits for others when the model is free.")
    ] = 0.0,
    queue_rows: Annotated[int, typer.Option(min=1, help="Rows that may wait; beyond that the answer is 503.")] = 128,
    request_rows: Annotated[int, typer.Option(min=1, help="Rows of one request; beyond that it is 413.")] = 256,
    body_kb: Annotated[int, typer.Option(min=1, help="Size of a request; beyond that it is 413.")] = 1000,
    reload_seconds: Annotated[
        float, typer.Option(min=0, help="Between two looks whether REF stands for another bundle; 0 never looks.")
    ] = 2.0,
    store: StoreOption = STORE,
) -> None:
    """Answer POST /predict with a bundle; GET /healthz and /metrics beside it."""
    require(*TO_SERVE)
    key = os.environ.get(API_KEY) or None
    if key is None and not is_loopback(host):
        raise ConfigError(
            f"{host} is reached from other machines: set {API_KEY} to a long random text, or leave --host"
        )
    work_of_serve(
        bundle,
        host=host,
        port=port,
        key=key,
        engine=engine,
        variant=variant,
        threads=threads,
        batch_rows=batch_rows,
        wait_ms=wait_ms,
        queue_rows=queue_rows,
        request_rows=request_rows,
        body_kb=body_kb,
        reload_seconds=reload_seconds,
        store=store,
    )
