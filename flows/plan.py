"""What a run would do, asked of the store alone: Prefect is not loaded, torch only where a student has to be tried."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.config.run import RunConfig
from pipeline.data.tasks.paths import file_sources
from pipeline.errors import DataError, ModelError, PipelineError
from pipeline.stages.mistakes import refuse_mistakes
from pipeline.stages.students_fit import check_students
from pipeline.stages.two_stage import two_stage
from pipeline.store.explain import Reason, plan
from pipeline.store.provenance import other_versions
from pipeline.store.source import Source, unpinned_note
from pipeline.store.stage import Stage
from pipeline.store.store import Store

Steps = list[tuple[Stage[Any], Reason]]
READ_AT_ONCE = 8 << 20  # bytes of a task's files; reading them takes a second or two


def plan_run(config: RunConfig, until: str | None = None, *, ask_hub: bool = False) -> Steps:
    """Each stage of a run with what would happen to it and why.

    Args:
        config: the run.
        until: its last stage.
        ask_hub: look at the configuration of a teacher on the hub too.

    Raises:
        PipelineError: a mistake that shows before anything is computed, or several as one ``MistakesError``.
    """
    refuse_mistakes(config, until)
    steps = plan(two_stage(config, until=until), Store(config.runtime.store))
    check_students(config, [stage.name for stage, reason in steps if reason.action != "reuse"], ask_hub=ask_hub)
    return steps


def refuse_lost_hub(steps: Steps) -> None:
    """Refuse to begin where a hub is asked that cannot be reached; a few seconds, and none where no hub is asked.

    A connection that is lost later, in the midst of a run, is tried again instead.

    Raises:
        ModelError: for a model; names it, the hub, and the way out.
        DataError: the same for a data set.
    """
    from pipeline.hub import require_hub  # it loads the hub's client

    for name, refusal in HUBS.items():
        mend = "name a folder" if refusal is ModelError else "name files"
        for stage, reason in steps:
            for given in stage.inputs.values() if reason.action != "reuse" else ():
                if isinstance(given, Source) and given.identity.startswith(name):
                    asked = given.identity.removeprefix(name).partition("@")[0].partition(":")[0]
                    require_hub(asked, mend, refusal)


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
    if sum(Path(path).stat().st_size for path in file_sources(config.task)) > READ_AT_ONCE:
        return []
    from pipeline.data.tasks.table import read_task  # it loads pyarrow

    return list(read_task(config.task, config.seed).statistics["warnings"])


def as_json(steps: Steps, store: Store, warnings: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The plan as a script would read it."""
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
    """The plan as a person would read it."""
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
    """What a user should know beside the plan: hubs that could not be asked, libraries that changed since."""
    sources = [given for stage, _ in steps for given in stage.inputs.values() if isinstance(given, Source)]
    made: dict[str, list[str]] = {}
    for stage, reason in steps:
        if reason.action == "reuse":
            found = other_versions(store.get(stage).manifest.packages)
            said = ", ".join(f"{name} {then} (now {now})" for name, (then, now) in found.items())
            made.setdefault(said, []).append(stage.name)
    return [
        *(note for note in dict.fromkeys(map(unpinned_note, sources)) if note),
        *(f"made with {said}, and kept as they are: {', '.join(names)}" for said, names in made.items() if said),
    ]


HUBS: dict[str, type[PipelineError]] = {"hub:": ModelError, "datasets:": DataError}
STYLES = {"reuse": "green", "resume": "yellow", "run": "bold"}
