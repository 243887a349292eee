"""A finished student becomes a bundle of ONNX files, measured on the dev rows; then what came of it is printed."""

import json
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from pipeline.config.export import ExportConfig
from pipeline.config.runtime import Runtime
from pipeline.errors import ConfigError
from pipeline.export.requirements import TO_EXPORT, require
from pipeline.report.formats import milliseconds, score, signed
from pipeline.report.formats import times as times_as_fast
from pipeline.stages.export import export_of
from pipeline.stages.export_latency import export_latency, read_export_latency
from pipeline.store.materialize import materialize
from pipeline.store.store import Store


class Notes:
    """Progress of work that takes seconds: what is worth a line goes to standard error."""

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        """Say nothing."""

    def note(self, message: str) -> None:
        """A line."""
        Console(stderr=True).print(message, markup=False, highlight=False, soft_wrap=True)


def export(
    ref: str,
    student: str | None,
    settings: ExportConfig,
    *,
    latency: bool,
    threads: int | None,
    store: str,
    as_json: bool,
) -> None:
    """Export the students of a finished artifact, and print how near each file is to the model in torch.

    Args:
        ref: the artifact: ``prediction``, ``prediction/v3``, a tag, or the start of a fingerprint.
        student: name of the only student to export; None for all of them.
        settings: which files, and how near they must be.
        latency: time torch and the ONNX files in turns as well, on this machine.
        threads: CPU threads of the timing; None takes all cores.
        store: folder of the store.
        as_json: print JSON.

    Raises:
        ConfigError: a package that exporting needs is not installed.
        ModelError: the artifact holds no finished model, or none of that name.
    """
    require(*TO_EXPORT)
    keeper = Store(store)
    runtime = Runtime(store=store, num_threads=threads)
    with keeper.in_use():
        stages = export_of(keeper, keeper.open(ref), settings, student)
        done = [materialize(stage, keeper, runtime, Notes()) for stage in stages]
        times = [read_times(stage, keeper, runtime) for stage in stages] if latency else [{} for _ in done]
    if as_json:
        shown = [
            {
                "ref": one.artifact.ref,
                "path": str(one.artifact.path),
                "state": one.state,
                **one.artifact.metrics,
                **time,
            }
            for one, time in zip(done, times, strict=True)
        ]
        print(json.dumps(shown))  # noqa: T201 - what the script asked for
        return
    _print(done)
    for time in times:
        _print_times(time)
    print(f"try it: echo 'a text' | tinybert predict {done[-1].artifact.ref}")  # noqa: T201 - to be copied


def read_settings(
    *, int8: bool, reduce_range: bool, min_parity: float | None, min_parity_int8: float | None
) -> ExportConfig:
    """The settings of the export; what was not given takes its default.

    Args:
        int8: write an int8 file as well.
        reduce_range: seven bits, for processors without VNNI.
        min_parity: smallest share of dev rows with the student's label, float32; None for the default.
        min_parity_int8: the same for int8.

    Raises:
        ConfigError: a share is not from 0 to 1.
    """
    floors = {"min_parity": min_parity, "min_parity_int8": min_parity_int8}
    chosen = {name: value for name, value in floors.items() if value is not None}
    try:
        return ExportConfig(int8=int8, reduce_range=reduce_range, **chosen)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        option = f"--{str(first['loc'][0]).replace('_', '-')}"
        raise ConfigError(f"{option} is {first['input']}: give a share from 0 to 1") from error


def _print(done: list[Any]) -> None:
    table = Table(
        "student", "file", "size", "same label", "logits within", "score", "change, 95%", box=None, pad_edge=False
    )
    for one in done:
        found = one.artifact.metrics
        for variant, parity in found["parity"].items():
            near = parity["correlation"] if parity["equal_labels"] is None else parity["equal_labels"]
            _, low, high = parity["difference"]
            table.add_row(
                found["name"],
                variant,
                decimal(found["bytes"][variant]),
                f"{near:.2%}" if parity["equal_labels"] is not None else f"r = {near:.4f}",
                f"{parity['largest_logit_difference']:.2g}",
                score(parity["score"]),
                f"{signed(low)} to {signed(high)}",
            )
        for variant, reason in found["refused"].items():
            table.add_row(found["name"], variant, "refused", reason, "", "", "")
    Console().print(table)
    for one in done:
        print(f"{one.state}: {one.artifact.ref} ({one.artifact.path})")  # noqa: T201 - to be copied


def read_times(bundle: Any, store: Any, runtime: Any) -> dict[str, Any]:
    """The times of a bundle's files on this machine, measured unless they already are.

    Args:
        bundle: the stage that exported it.
        store: where it lies.
        runtime: says the number of threads.
    """
    return read_export_latency(materialize(export_latency(bundle, runtime), store, runtime, Notes()).artifact.path)


def _print_times(found: dict[str, Any]) -> None:
    """A line for each length and batch; times in milliseconds a batch, speed against torch."""
    if not found:
        return
    names = list(dict.fromkeys(row["model"] for row in found["latency"]))
    cells: dict[tuple[int, int], dict[str, str]] = {}
    for row in found["latency"]:
        speed = f" ({times_as_fast(row['speed'][0])})" if row["speed"] else ""
        unsure = "" if row["reliable"] else " ?"
        cells.setdefault((row["batch"], row["length"]), {})[row["model"]] = (
            f"{milliseconds(row['milliseconds'])}{speed}{unsure}"
        )
    table = Table("rows", "word pieces", *(f"{name}, ms" for name in names), box=None, pad_edge=False)
    for (batch, length), cell in sorted(cells.items()):
        table.add_row(str(batch), str(length), *(cell.get(name, "") for name in names))
    where = found["machine"]
    print(f"{found['name']} on {where['cpu']}, threads: {where['num_threads']}; ? is not reliable")  # noqa: T201
    Console().print(table)
