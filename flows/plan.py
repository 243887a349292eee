"""What a run would do, asked of the store alone: neither Prefect nor torch is loaded."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.config.run import RunConfig
from pipeline.stages.two_stage import two_stage
from pipeline.store.explain import Reason, plan
from pipeline.store.provenance import other_versions
from pipeline.store.source import Source, unpinned_note
from pipeline.store.stage import Stage
from pipeline.store.store import Store

Steps = list[tuple[Stage[Any], Reason]]


def plan_run(config: RunConfig, until: str | None = None) -> Steps:
    """Each stage of a run with what would happen to it and why."""
    return plan(two_stage(config, until=until), Store(config.runtime.store))


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
            "other_versions": other_versions(store.get(stage).manifest.packages) if reason.action == "reuse" else {},
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
    for note in notes(steps, store):
        console.print(escape(note), soft_wrap=True, highlight=False)


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


STYLES = {"reuse": "green", "resume": "yellow", "run": "bold"}
