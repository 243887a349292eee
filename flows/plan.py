"""What a run would do, asked of the store alone: neither Prefect nor torch is loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.config.run import RunConfig
from pipeline.stages.two_stage import two_stage
from pipeline.store.explain import Reason, plan
from pipeline.store.stage import Stage
from pipeline.store.store import Store

Steps = list[tuple[Stage[Any], Reason]]
READ_AT_ONCE = 8 << 20  # bytes of a task's files; reading them takes a second or two


def plan_run(config: RunConfig, until: str | None = None) -> Steps:
    """Each stage of a run with what would happen to it and why."""
    return plan(two_stage(config, until=until), Store(config.runtime.store))


def finished(steps: Steps) -> bool:
    """Whether there is nothing left to do."""
    return all(reason.action == "reuse" for _, reason in steps)


def data_warnings(config: RunConfig, steps: Steps, store: Store) -> list[str]:
    """What is doubtful about the task's rows: as they were read, or read now where that takes a moment.

    Rows on a hub, of packages, or in large files are left to the stage that reads them.

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
    from pipeline.data.task_paths import file_sources

    if sum(Path(path).stat().st_size for path in file_sources(config.task)) > READ_AT_ONCE:
        return []
    from pipeline.data.task_table import read_task

    return list(read_task(config.task, config.seed).statistics["warnings"])


def as_json(steps: Steps, store: Store, warnings: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The plan as a script would read it."""
    return [
        {
            "stage": stage.name,
            "action": reason.action,
            "reasons": list(reason.reasons),
            "fingerprint": store.fingerprint(stage),
            **({"warnings": list(warnings)} if stage.name == "task_data" else {}),
        }
        for stage, reason in steps
    ]


def print_plan(steps: Steps, store: Store, console: Console, warnings: Sequence[str] = ()) -> None:
    """The plan as a person would read it."""
    table = Table("stage", "", "why", box=None, pad_edge=False)
    for stage, reason in steps:
        why = "\n".join(reason.reasons) or store.get(stage).ref
        table.add_row(stage.name, f"[{STYLES[reason.action]}]{reason.action}[/]", escape(why))
    console.print(table)
    for warning in warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True, highlight=False)


STYLES = {"reuse": "green", "resume": "yellow", "run": "bold"}
