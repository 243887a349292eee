"""What a run would do, asked of the store alone: Prefect is not loaded, torch only where a student has to be tried."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.config.run import RunConfig
from pipeline.stages.students_fit import check_students
from pipeline.stages.two_stage import two_stage
from pipeline.store.explain import Reason, plan
from pipeline.store.stage import Stage
from pipeline.store.store import Store

Steps = list[tuple[Stage[Any], Reason]]


def plan_run(config: RunConfig, until: str | None = None, *, ask_hub: bool = False) -> Steps:
    """Each stage of a run with what would happen to it and why.

    Args:
        config: the run.
        until: its last stage.
        ask_hub: look at the configuration of a teacher on the hub too.

    Raises:
        ModelError: the students cannot be made of the teacher.
    """
    steps = plan(two_stage(config, until=until), Store(config.runtime.store))
    check_students(config, [stage.name for stage, reason in steps if reason.action != "reuse"], ask_hub=ask_hub)
    return steps


def finished(steps: Steps) -> bool:
    """Whether there is nothing left to do."""
    return all(reason.action == "reuse" for _, reason in steps)


def as_json(steps: Steps, store: Store) -> list[dict[str, Any]]:
    """The plan as a script would read it."""
    return [
        {
            "stage": stage.name,
            "action": reason.action,
            "reasons": list(reason.reasons),
            "fingerprint": store.fingerprint(stage),
        }
        for stage, reason in steps
    ]


def print_plan(steps: Steps, store: Store, console: Console) -> None:
    """The plan as a person would read it."""
    table = Table("stage", "", "why", box=None, pad_edge=False)
    for stage, reason in steps:
        why = "\n".join(reason.reasons) or store.get(stage).ref
        table.add_row(stage.name, f"[{STYLES[reason.action]}]{reason.action}[/]", escape(why))
    console.print(table)


STYLES = {"reuse": "green", "resume": "yellow", "run": "bold"}
