"""``tinybert deploy``: a configuration that a server runs by itself; ``tinybert trigger``: that it runs now."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from flows.arguments import ConfigArgument, RecipeOption, UntilOption, configuration
from flows.later import later
from flows.prefect_settings import apply
from pipeline.config.locations import anchored

EVERY_MINUTES = 10.0
two_stage = later("pipeline.stages.graph:two_stage")
# They load Prefect, which is to happen once its settings stand.
schedule, deployment = later("flows.deployment:schedule"), later("flows.deployment:deployment")
register, start = later("flows.deployment:register"), later("flows.deployment:start")


def deploy(
    arguments: ConfigArgument = None,
    recipe: RecipeOption = None,
    until: UntilOption = None,
    cron: Annotated[str | None, typer.Option(help="When to run: '0 2 * * *' is two o'clock every night.")] = None,
    timezone: Annotated[str, typer.Option(help="Whose clock the schedule follows.")] = "UTC",
    every_minutes: Annotated[float | None, typer.Option(help="Run at this interval.")] = None,
    when_data_changes: Annotated[
        bool,
        typer.Option("--when-data-changes", help="Only look for changed data, every 10 minutes, and run if there is."),
    ] = False,
    pool: Annotated[str, typer.Option(help="Work pool whose worker runs it.")] = "tinybert",
    name: Annotated[str | None, typer.Option(help="Name of the deployment; that of the run without.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag in the UI; may be given again.")] = None,
) -> None:
    """Register a configuration with the server: to be run by schedule, or from a form in the UI."""
    config = anchored(configuration(arguments, recipe), Path.cwd())
    two_stage(config, until=until)  # a mistake is better told here than at night
    apply()
    if when_data_changes and cron is None and every_minutes is None:
        every_minutes = EVERY_MINUTES
    wanted = deployment(
        config,
        until,
        name or config.name,
        pool,
        schedule(cron, timezone, every_minutes),
        tag or [],
        when_data_changes=when_data_changes,
    )
    place = register(wanted)
    by_itself = (
        f"at {cron!r} ({timezone})" if cron else f"every {every_minutes:g} minutes" if every_minutes else "never"
    )
    for line in (
        f"registered {wanted.full_name} in pool {pool}",
        f"runs by itself: {by_itself}; another one that comes due meanwhile is cancelled",
        f"form: {place}",
        f"by hand: tinybert trigger {shlex.quote(wanted.name)}",
    ):
        print(line)  # noqa: T201 - as it is, to be copied


def trigger(
    name: Annotated[str, typer.Argument(help="The deployment, as tinybert deploy called it.")],
) -> None:
    """Start a run of a deployment now, as its schedule would; the worker takes it up."""
    apply()
    called, place = start(name)
    for line in (f"started {called}", f"watch: {place}"):
        print(line)  # noqa: T201 - as it is, to be copied
