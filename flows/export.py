"""``tinybert export``: a finished student becomes a bundle of ONNX files, measured on the dev rows."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from flows.artifacts import STORE, JsonOption, StoreOption


class Notes:
    """Progress of work that takes seconds: what is worth a line goes to standard error."""

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        """Say nothing."""

    def note(self, message: str) -> None:
        """A line."""
        Console(stderr=True).print(message, markup=False, highlight=False, soft_wrap=True)


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
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Write a finished student's ONNX files (float32 and int8) and measure them on the dev rows."""
    from pipeline.config.runtime import Runtime
    from pipeline.export.requirements import TO_EXPORT, require
    from pipeline.stages.export import export_of
    from pipeline.store.materialize import materialize
    from pipeline.store.store import Store

    require(*TO_EXPORT)
    keeper = Store(store)
    settings = _settings(int8, reduce_range, min_parity, min_parity_int8)
    with keeper.in_use():
        done = [
            materialize(stage, keeper, Runtime(store=store), Notes())
            for stage in export_of(keeper, keeper.open(ref), settings, student)
        ]
    if as_json:
        shown = [
            {"ref": one.artifact.ref, "path": str(one.artifact.path), "state": one.state, **one.artifact.metrics}
            for one in done
        ]
        print(json.dumps(shown))  # noqa: T201 - what the script asked for
        return
    _print(done)


def _settings(int8: bool, reduce_range: bool, min_parity: float | None, min_parity_int8: float | None) -> Any:
    """The settings of the export; what was not given takes its default."""
    from pydantic import ValidationError

    from pipeline.config.export import ExportConfig
    from pipeline.errors import ConfigError

    floors = {"min_parity": min_parity, "min_parity_int8": min_parity_int8}
    chosen = {name: value for name, value in floors.items() if value is not None}
    try:
        return ExportConfig(int8=int8, reduce_range=reduce_range, **chosen)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        option = f"--{str(first['loc'][0]).replace('_', '-')}"
        raise ConfigError(f"{option} is {first['input']}: give a share from 0 to 1") from error


def _print(done: list[Any]) -> None:
    from rich.filesize import decimal

    from pipeline.report.formats import score

    table = Table("student", "file", "size", "equal labels", "largest difference", "metric", box=None, pad_edge=False)
    for one in done:
        found = one.artifact.metrics
        for variant, parity in found["parity"].items():
            near = parity["correlation"] if parity["equal_labels"] is None else parity["equal_labels"]
            difference, low, high = parity["difference"]
            table.add_row(
                found["name"],
                variant,
                decimal(found["bytes"][variant]),
                f"{near:.2%}" if parity["equal_labels"] is not None else f"r = {near:.4f}",
                f"{parity['largest_logit_difference']:.2g}",
                f"{parity['metric']} {score(parity['score'])} ({difference:+.4f}, {low:+.4f} to {high:+.4f})",
            )
        for variant, reason in found["refused"].items():
            table.add_row(found["name"], variant, "refused", reason, "", "")
    Console().print(table)
    for one in done:
        print(f"{one.state}: {one.artifact.ref} ({one.artifact.path})")  # noqa: T201 - to be copied
    if done:
        print(f"try it: echo 'a text' | tinybert predict {done[-1].artifact.ref}")  # noqa: T201 - to be copied
