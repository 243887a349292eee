"""``tinybert up``, ``tinybert down``, ``tinybert status``: what one machine needs beside a run."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flows.arguments import JsonOption
from flows.later import Later
from flows.services.state import Settings
from pipeline.config.builtin import home_path
from pipeline.config.runtime import Runtime

POOL = "tinybert"
database = Later("flows.services.up:database")
where_password_is = Later("flows.services.up:where_password_is")
start, stop = Later("flows.services.up:up"), Later("flows.services.down:down")
ask = Later("flows.services.status:status")
HEALTH = {"up": "[green]up[/]", "silent": "[yellow]does not answer[/]", "ended": "[red]ended[/]"}


def up(
    store: Annotated[str, typer.Option(help="Store whose reports are served.")] = Runtime().store,
    host: Annotated[str, typer.Option(help="Where to listen; beyond this machine a password is set.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the server and its UI.")] = 4200,
    reports_port: Annotated[int, typer.Option(help="Port of the reports.")] = 4201,
    pool: Annotated[str, typer.Option(help="Work pool that the worker serves; made if there is none.")] = POOL,
    database_url: Annotated[
        str | None,
        typer.Option(help="postgresql+asyncpg://...; SQLite without. PREFECT_SERVER_DATABASE_CONNECTION_URL does too."),
    ] = None,
) -> None:
    """Start Prefect's server, one worker and the reports over HTTP; returns once they answer."""
    url, shown = database(database_url)
    place = str(Path.cwd() / home_path(store))
    settings = Settings(host=host, port=port, reports_port=reports_port, store=place, pool=pool, database=shown)
    start(settings, url, typer.echo)
    typer.echo(f"UI: {settings.ui_url} (database: {shown})")
    typer.echo(f"reports: {settings.reports_url} ({settings.store})")
    typer.echo(f"worker: pool {pool}, one run at a time")
    if where := where_password_is():
        typer.echo(where)
    typer.echo(f"tinybert run and deploy find it by themselves; prefect by PREFECT_API_URL={settings.api_url}")


def down(
    wait: Annotated[bool, typer.Option("--wait", help="Stop once no run is at work.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel the runs at work; they keep a checkpoint.")] = False,
) -> None:
    """Stop what tinybert up has started, and nothing else; asks first where runs are at work."""
    stop(typer.echo, wait=wait, cancel=cancel)


def status(as_json: JsonOption = False) -> None:
    """Say what runs, and who trains on which device."""
    state = ask()
    if as_json:
        typer.echo(json.dumps(state))
        return
    if not state["services"]:
        typer.echo("nothing is up; tinybert up starts the server, a worker and the reports")
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for service in state["services"]:
            table.add_row(service["name"], HEALTH[service["health"]], f"process {service['pid']}", service["where"])
        Console().print(table)
        if any(service["health"] != "up" for service in state["services"]):
            typer.echo(f"logs: {Path(state['services'][0]['log']).parent}; tinybert up starts again what has ended")
    for holder in state["devices"]:
        typer.echo("device {device}: process {pid} trains {stage} (store {store})".format(**holder))
