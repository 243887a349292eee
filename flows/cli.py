"""The command line: run, plan, doctor, export, predict, serve, deploy, trigger, automate, up, down, status and others.

Exit codes: 0 done; 1 another mistake; 2 configuration; 3 data; 4 model; 5 store; 6 training;
70 a defect of ours (with a traceback); 130 interrupted or cancelled; 143 ended by SIGTERM.
"""

import json
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from flows.arguments import ConfigArgument, JsonOption, RecipeOption, UntilOption, configuration, refuse_keys_as_options
from flows.artifacts import artifacts
from flows.compare import ablate, compare
from flows.deploy import automate, deploy, trigger
from flows.later import Later
from flows.services.commands import down, status, up
from flows.ship import export, predict, serve
from pipeline.config.commented import commented
from pipeline.config.file_schema import file_schema
from pipeline.config.recipes import recipes as all_recipes
from pipeline.errors import ConfigError, MistakesError, PipelineError
from pipeline.training.team import team

app = typer.Typer(
    help="Distil a big BERT into a small, fast student: TinyBERT's two stages, resumable, every step kept.",
    epilog="Exit codes: 0 done, 2 configuration, 3 data, 4 model, 5 store, 6 training, 70 defect, 130 interrupted.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.add_typer(artifacts, name="artifacts")
DEFECT, INTERRUPTED, TERMINATED = 70, 130, 143
work_of_run, work_of_plan = Later("flows.commands:run"), Later("flows.commands:plan")
show_diagnosis = Later("flows.doctor:show_diagnosis")
say_last_line = Later("flows.leaving:say_last_line")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"tinybert-pipeline {version('tinybert-pipeline')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def top(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Distil a big BERT into a small, fast student: TinyBERT's two stages, resumable, every step kept."""


@app.command()
def run(
    arguments: ConfigArgument = None,
    recipe: RecipeOption = None,
    until: UntilOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the flow; what is finished is reused, what broke is resumed."""
    work_of_run(arguments, recipe, until, quiet=quiet, as_json=as_json)


@app.command()
def plan(
    arguments: ConfigArgument = None,
    recipe: RecipeOption = None,
    until: UntilOption = None,
    cost: Annotated[bool, typer.Option("--cost", help="Time a few steps of each stage: hours, disk, memory.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say for each stage whether it would be reused, resumed or run, and why; do nothing."""
    work_of_plan(arguments, recipe, until, cost=cost, as_json=as_json)


@app.command()
def doctor(arguments: ConfigArgument = None, recipe: RecipeOption = None, as_json: JsonOption = False) -> None:
    """Say what this machine can do, what a run would use on it and why; a few seconds."""
    show_diagnosis(configuration(arguments, recipe), as_json=as_json)


@app.command()
def recipes(as_json: JsonOption = False) -> None:
    """List the recipes that come with the project."""
    if as_json:
        print(json.dumps([{"name": name, "description": text} for name, text in all_recipes()]))  # noqa: T201
        return
    for name, text in all_recipes():
        Console().print(f"[bold]{name:10}[/] {text}")


@app.command()
def init(
    path: Annotated[str, typer.Argument(help="The file to write.")] = "tinybert.yaml",
    recipe: Annotated[str, typer.Option(help="Start from this recipe.")] = "tinybert",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a commented configuration to start from."""
    target = Path(path)
    if target.exists() and not force:
        raise ConfigError(f"{path} is already there: name another file, or use --force to replace it")
    text = commented(recipe)
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}): name a file in a folder that can") from error
    print(f"wrote {path}; edit it, then: tinybert run {path}")  # noqa: T201 - as it is, to copy from


@app.command()
def schema() -> None:
    """Print the JSON schema of a configuration file, for editors that check and complete it."""
    print(json.dumps(file_schema(), indent=2))  # noqa: T201 - to be kept in a file


for command in (compare, ablate, export, predict, serve, up, down, status, deploy, trigger, automate):
    app.command()(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with a documented exit code."""
    try:
        _main(arguments)
    except SystemExit as left:
        if (leaving := sys.modules.get("flows.leaving")) is not None and leaving.patience.over:
            leaving.leave_at_once(left.code)
        raise


def _main(arguments: list[str] | None) -> None:
    try:
        refuse_keys_as_options(app, sys.argv[1:] if arguments is None else arguments)
        app(arguments, standalone_mode=True)
    except PipelineError as error:
        for mistake in error.mistakes if isinstance(error, MistakesError) else (error,):
            line = " ".join(str(mistake).split("\n"))
            Console(stderr=True).print(f"[red]error:[/] {escape(line)}", soft_wrap=True, highlight=False)
        sys.exit(error.exit_code)
    except SystemExit as left:
        # Typer leaves on Ctrl-C and says nothing; of several processes the first one speaks for all.
        if left.code in {INTERRUPTED, TERMINATED} and not team().follows:
            say_last_line(left.code)
        raise
    except Exception:  # noqa: BLE001 - the last door
        traceback.print_exc()
        sys.exit(DEFECT)


if __name__ == "__main__":
    main()
