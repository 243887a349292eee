"""``tinybert deploy``, ``trigger`` and ``automate``: what a server does by itself, now, and after a failure."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from flows.arguments import ConfigArgument, RecipeOption, UntilOption, configuration
from flows.later import Later
from flows.prefect_settings import apply
from pipeline.config.locations import anchored

EVERY_MINUTES = 10.0
two_stage = Later("pipeline.stages.graph:two_stage")
# These load Prefect, which is to happen once its settings stand.
schedule, deployment = Later("flows.deployment:schedule"), Later("flows.deployment:deployment")
register, start = Later("flows.deployment:register"), Later("flows.deployment:start")
register_automations = Later("flows.automations:register")


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
    two_stage(config, until=until)  # a mistake is better found here than at night
    apply()
    if when_data_changes and cron is None and every_minutes is None:
        every_minutes = EVERY_MINUTES
    when = schedule(cron, timezone, every_minutes)
    built = deployment(config, until, name or config.name, pool, when, tag or [], when_data_changes=when_data_changes)
    address = register(built)
    interval = f"every {every_minutes:g} minutes" if every_minutes else "never"
    by_itself = f"at {cron!r} ({timezone})" if cron else interval
    typer.echo(f"registered {built.full_name} in pool {pool}")
    typer.echo(f"runs by itself: {by_itself}; another one that comes due meanwhile is cancelled")
    typer.echo(f"form: {address}")
    typer.echo(f"by hand: tinybert trigger {shlex.quote(built.name)}")


def trigger(name: Annotated[str, typer.Argument(help="The deployment, as tinybert deploy called it.")]) -> None:
    """Start a run of a deployment now, as its schedule would; the worker takes it up."""
    apply()
    run, address = start(name)
    typer.echo(f"started {run}")
    typer.echo(f"watch: {address}")


def automate(
    webhook: Annotated[
        str | None,
        typer.Option(
            help="Address that is posted to when a stage fails; better set than typed, if it holds a key.",
            envvar="TINYBERT_WEBHOOK_URL",
        ),
    ] = None,
) -> None:
    """Have the server mark runs that fell silent as crashed, and call a webhook when a stage fails."""
    apply()
    for name in register_automations(webhook):
        typer.echo(f"registered {name}")
