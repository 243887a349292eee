"""Plan a run from the store, without Prefect; torch is imported only if a student of a new shape is tried."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.checks.students_fit import check_students
from pipeline.config.run import RunConfig
from pipeline.data.tasks.paths import file_sources
from pipeline.errors import DataError, ModelError, PipelineError
from pipeline.stages.graph import refuse_mistakes, two_stage
from pipeline.store.materialize import Reason, plan
from pipeline.store.provenance import other_versions
from pipeline.store.source import Source, unpinned_note
from pipeline.store.stage import Stage
from pipeline.store.store import Store

Steps = list[tuple[Stage[Any], Reason]]
READ_AT_ONCE = 8 << 20  # bytes of a task's files; reading them takes a second or two


def plan_run(config: RunConfig, until: str | None = None, *, ask_hub: bool = False) -> Steps:
    """Return each stage of a run with what would happen to it and why.

    Args:
        config: configuration of the run.
        until: last stage; None plans all.
        ask_hub: also check the configuration of a teacher on a hub, over the network.

    Raises:
        PipelineError: a mistake that can be found before anything is computed; several as one ``MistakesError``.
    """
    refuse_mistakes(config, until)
    steps = plan(two_stage(config, until=until), Store(config.runtime.store))
    check_students(config, [stage.name for stage, reason in steps if reason.action != "reuse"], ask_hub=ask_hub)
    return steps


def refuse_lost_hub(steps: Steps) -> None:
    """Refuse a run that needs a hub which cannot be reached. This takes a few seconds, or none without a hub.

    A connection that is lost later, during a run, is retried instead.

    Args:
        steps: the plan of the run.

    Raises:
        ModelError: a model cannot be reached; names it, the hub, and how to mend it.
        DataError: a data set cannot be reached.
    """
    from pipeline.hub import require_hub  # it loads the hub's client

    for name, refusal in HUBS.items():
        mend = "name a folder" if refusal is ModelError else "name files"
        for stage, reason in steps:
            for source in stage.inputs.values() if reason.action != "reuse" else ():
                if isinstance(source, Source) and source.identity.startswith(name):
                    location = source.identity.removeprefix(name).partition("@")[0].partition(":")[0]
                    require_hub(location, mend, refusal)


def finished(steps: Steps) -> bool:
    """Return whether every stage would be reused."""
    return all(reason.action == "reuse" for _, reason in steps)


def data_warnings(config: RunConfig, steps: Steps, store: Store) -> list[str]:
    """Return the warnings about the task's rows, from its artifact or, for small files, by reading them now.

    Rows on a hub, of packages, or in large files are left to the stage that reads them.

    Args:
        config: configuration of the run.
        steps: the plan of the run.
        store: the store.

    Raises:
        PipelineError: the rows that are read now cannot be used.
    """
    stage, reason = next(((stage, reason) for stage, reason in steps if stage.name == "task_data"), (None, None))
    if stage is None or reason is None or config.task is None:
        return []
    if reason.action == "reuse":
        return list(store.get(stage).metrics["warnings"])
    if config.task.hub or config.task.packages:
        return []
    if sum(Path(path).stat().st_size for path in file_sources(config.task)) > READ_AT_ONCE:
        return []
    from pipeline.data.tasks.table import read_task  # it loads pyarrow

    return list(read_task(config.task, config.seed).statistics["warnings"])


def as_json(steps: Steps, store: Store, warnings: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the plan for ``--json``."""
    return [
        {
            "stage": stage.name,
            "action": reason.action,
            "reasons": list(reason.reasons),
            "fingerprint": store.fingerprint(stage),
            "other_versions": other_versions(store.get(stage).manifest.packages) if reason.action == "reuse" else {},
            **({"warnings": list(warnings)} if stage.name == "task_data" else {}),
        }
        for stage, reason in steps
    ]


def print_plan(steps: Steps, store: Store, console: Console, warnings: Sequence[str] = ()) -> None:
    """Print the plan as a table."""
    table = Table("stage", "", "why", box=None, pad_edge=False)
    for stage, reason in steps:
        why = "\n".join(reason.reasons) or store.get(stage).ref
        table.add_row(stage.name, f"[{STYLES[reason.action]}]{reason.action}[/]", escape(why))
    console.print(table)
    for note in notes(steps, store):
        console.print(escape(note), soft_wrap=True, highlight=False)
    for warning in warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True, highlight=False)


def notes(steps: Steps, store: Store) -> list[str]:
    """Return remarks on a plan: hubs that could not be reached, libraries whose versions changed."""
    sources = [given for stage, _ in steps for given in stage.inputs.values() if isinstance(given, Source)]
    made: dict[str, list[str]] = {}
    for stage, reason in steps:
        if reason.action == "reuse":
            changes = other_versions(store.get(stage).manifest.packages)
            change = ", ".join(f"{name} {then} (now {now})" for name, (then, now) in changes.items())
            made.setdefault(change, []).append(stage.name)
    return [
        *(note for note in dict.fromkeys(map(unpinned_note, sources)) if note),
        *(f"made with {change}, and kept as they are: {', '.join(names)}" for change, names in made.items() if change),
    ]


HUBS: dict[str, type[PipelineError]] = {"hub:": ModelError, "datasets:": DataError}
STYLES = {"reuse": "green", "resume": "yellow", "run": "bold"}
