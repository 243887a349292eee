"""What ``tinybert compare`` and ``tinybert ablate`` do, once the command line has been read."""

import json
from collections.abc import Sequence
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.later import Later
from flows.plan import plan_run, refuse_lost_hub
from pipeline.config.variants import Variant, ablated, recipes_compared
from pipeline.errors import ConfigError
from pipeline.report.formats import count, duration, milliseconds, score, signed
from pipeline.stages.comparison import Comparison, comparison
from pipeline.stages.graph import two_stage
from pipeline.store.disk import check_writable
from pipeline.store.store import Store
from pipeline.training.team import join

run_comparison = Later("flows.run_flow:run_comparison")


def compare(
    arguments: list[str] | None, recipes: str, seeds: int, resamples: int, *, quiet: bool, as_json: bool
) -> None:
    """Compare recipes on one task.

    Args:
        arguments: a file and overrides, as they were typed.
        recipes: names with commas between.
        seeds: number of seeds.
        resamples: draws of each interval.
        quiet: show no progress.
        as_json: print JSON.
    """
    names = [name.strip() for name in recipes.split(",") if name.strip()]
    if not names:
        raise ConfigError("nothing to compare: name recipes with --recipes a,b (see: tinybert recipes)")
    path, other, overrides = _parts(arguments)
    if other is not None:
        raise ConfigError(f"{other!r} is one file too many: compare takes a configuration, then key=value")
    _compare(recipes_compared(path, overrides, names), seeds, resamples, quiet=quiet, as_json=as_json)


def ablate(
    arguments: list[str] | None, recipe: str | None, seeds: int, resamples: int, *, quiet: bool, as_json: bool
) -> None:
    """Compare a run with itself, a part changed at a time.

    Args:
        arguments: a file, perhaps one of ablations, and overrides, as they were typed.
        recipe: to start from.
        seeds: number of seeds.
        resamples: draws of each interval.
        quiet: show no progress.
        as_json: print JSON.
    """
    path, file, overrides = _parts(arguments)
    variants, remarks = ablated(path, overrides, recipe if recipe or path else "demo", file)
    for remark in remarks:
        Console(stderr=True).print(escape(remark), soft_wrap=True, highlight=False)
    _compare(variants, seeds, resamples, quiet=quiet, as_json=as_json)


def _parts(arguments: Sequence[str] | None) -> tuple[str | None, str | None, list[str]]:
    """The run's file, the file of ablations, and the overrides among a command's arguments."""
    given = list(arguments or [])
    files = [argument for argument in given if "=" not in argument]
    if len(files) > 2:
        raise ConfigError(f"{files[2]!r} is one file too many: name a configuration, perhaps ablations, then key=value")
    path, file = (*files, None, None)[:2]
    return path, file, [argument for argument in given if "=" in argument]


def _compare(variants: Sequence[Variant], seeds: int, resamples: int, *, quiet: bool, as_json: bool) -> None:
    if join().size > 1:
        raise ConfigError("a comparison runs on one process: start it without torchrun")
    store = Store(variants[0].config.runtime.store)
    planned = comparison({one.name: one.seeded(seeds) for one in variants}, resamples, store)
    console = Console(stderr=as_json)
    for name in planned.alike:
        console.print(f"{escape(name)} changes nothing in this run and is left out", highlight=False)
    for config, until in planned.runs:  # refuse a mistake in the last run before the first one starts
        refuse_lost_hub(plan_run(config, until))
    if not quiet and not as_json:
        console.print(_shared(planned, store), highlight=False)
    if store.find(planned.stage) is None:
        check_writable(store.root)
        run_comparison(planned, console, quiet=quiet or as_json)
    artifact = store.get(planned.stage)
    found = json.loads((artifact.path / "comparison.json").read_text("utf-8")) | {"output": str(artifact.path)}
    if as_json:
        typer.echo(json.dumps(found))
        return
    console.print(_table(found))
    for file in ("comparison.html", "comparison.csv"):
        typer.echo(f"{file.partition('.')[2]}: {artifact.path / file}")


def _shared(planned: Comparison, store: Store) -> str:
    """Return in one line how many stages the runs have, how many differ, and how many are not made yet."""
    resolver = store.resolver()
    stages = [stage for config, until in planned.runs for stage in two_stage(config, until)]
    different = {resolver.fingerprint(stage): stage for stage in stages}
    missing = sum(resolver.find(stage).artifact is None for stage in different.values())
    return (
        f"{len(planned.runs)} runs of {len(stages)} stages, {len(different)} different ones; "
        f"{missing} are still to be made"
    )


def _table(found: dict[str, Any]) -> Table:
    title = f"{found['metric']} on {found['rows']}; {len(found['seeds'])} seeds; teacher {score(found['teacher'])}"
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("method", no_wrap=True)
    for heading in ("mean", "95% interval", f"to {found['compared_with']}", "p", "parameters", "ms", "training"):
        table.add_column(escape(heading), justify="right")
    for row in found["results"]:
        difference = row["difference"]
        beside = ("", "")
        if difference:
            low, high = difference["interval"]
            beside = (f"{signed(difference['mean'])} {signed(low)}..{signed(high)}", f"{difference['p']:.3f}")
        low, high = row["interval"]
        table.add_row(
            escape(row["name"]),
            score(row["mean"]),
            f"{score(low)}..{score(high)}",
            *beside,
            count(row["parameters"]),
            milliseconds(row["milliseconds"]),
            duration(row["seconds"], space=" "),
        )
    table.caption = f"p, corrected for {len(found['results']) - 1} comparisons (Holm)"
    table.caption_justify = "left"
    return table
