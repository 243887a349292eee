"""``tinybert up``, ``tinybert down``, ``tinybert status``: what one machine needs beside a run."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flows.arguments import JsonOption
from flows.later import later
from flows.services.state import Settings
from pipeline.config.builtin import home_path
from pipeline.config.runtime import Runtime

POOL = "tinybert"
database, password_told = later("flows.services.up:database"), later("flows.services.up:password_told")
start, stop = later("flows.services.up:up"), later("flows.services.down:down")
ask = later("flows.services.status:status")
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
    settings = Settings(
        host=host,
        port=port,
        reports_port=reports_port,
        store=str(Path.cwd() / home_path(store)),
        pool=pool,
        database=shown,
    )
    start(settings, url, _say)
    _say(f"UI: {settings.ui_url} (database: {shown})")
    _say(f"reports: {settings.reports_url} ({settings.store})")
    _say(f"worker: pool {pool}, one run at a time")
    if said := password_told():
        _say(said)
    _say(f"tinybert run and deploy find it by themselves; prefect by PREFECT_API_URL={settings.api_url}")


def down(
    wait: Annotated[bool, typer.Option("--wait", help="Stop once no run is at work.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel the runs at work; they keep a checkpoint.")] = False,
) -> None:
    """Stop what tinybert up has started, and nothing else; asks first where runs are at work."""
    stop(_say, wait=wait, cancel=cancel)


def status(as_json: JsonOption = False) -> None:
    """Say what runs, and who trains on which device."""
    told = ask()
    if as_json:
        _say(json.dumps(told))
        return
    if not told["services"]:
        _say("nothing is up; tinybert up starts the server, a worker and the reports")
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for one in told["services"]:
            table.add_row(one["name"], HEALTH[one["health"]], f"process {one['pid']}", one["where"])
        Console().print(table)
        if any(one["health"] != "up" for one in told["services"]):
            _say(f"logs: {Path(told['services'][0]['log']).parent}; tinybert up starts again what has ended")
    for holder in told["devices"]:
        _say(f"device {holder['device']}: process {holder['pid']} trains {holder['stage']} (store {holder['store']})")


def _say(line: str) -> None:
    """A line as it is, however wide: it may be copied, or read by a script."""
    print(line)  # noqa: T201
