"""``tinybert export``: a finished student becomes a bundle of ONNX files, measured on the dev rows."""

from typing import Annotated

import typer

from flows.arguments import JsonOption
from flows.artifacts import STORE, StoreOption
from flows.later import Later

read_settings, work_of_export = Later("flows.shipping.export:read_settings"), Later("flows.shipping.export:export")


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
