"""The arguments of commands that need a configuration: a file, a recipe, overrides."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from pipeline.config.load import load_config
from pipeline.config.run import RunConfig
from pipeline.config.schema import known_keys
from pipeline.errors import ConfigError

ConfigArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[CONFIG.yaml] [key=value ...]", help="A file, then overrides.")
]
RecipeOption = Annotated[str | None, typer.Option(help="Start from a recipe; see: tinybert recipes.")]
UntilOption = Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after this stage.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def changes(arguments: list[str] | None) -> list[str]:
    """Return the overrides among a command's arguments."""
    return [argument for argument in arguments or [] if "=" in argument]


def configuration(arguments: list[str] | None, recipe: str | None) -> RunConfig:
    """Load the configuration that the arguments name; the demonstration if they name none."""
    overrides = list(arguments or [])
    path = overrides.pop(0) if overrides and "=" not in overrides[0] else None
    if path is None and recipe is None:
        recipe = "demo"
        print("no configuration was named: this is the demonstration (--recipe demo)", file=sys.stderr)  # noqa: T201
    return load_config(path, overrides, recipe)


def refuse_keys_as_options(app: typer.Typer, arguments: Sequence[str]) -> None:
    """Refuse a key of the configuration that is written as an option, such as ``--seed 3``.

    Raises:
        ConfigError: says how the key is written.
    """
    commands = getattr(typer.main.get_command(app), "commands", {})
    command = commands.get(arguments[0]) if arguments else None
    if command is None or "arguments" not in {parameter.name for parameter in command.params}:
        return
    options = {option for parameter in command.params for option in parameter.opts}
    for place, argument in enumerate(arguments):
        name, equals, value = argument.removeprefix("--").partition("=")
        key = name.replace("-", "_")
        if not argument.startswith("--") or f"--{name}" in options or not _is_key(key):
            continue
        value = value if equals else next(iter(arguments[place + 1 :]), "VALUE")
        raise ConfigError(f"--{name} is no option of tinybert {arguments[0]}: a key is written {key}={value}")


def _is_key(key: str) -> bool:
    """Return whether the configuration has such a key; an item of a list is given by its place or its name."""
    known, parts = known_keys(RunConfig), key.split(".")
    as_items = (".".join((*parts[:place], "0", *parts[place + 1 :])) for place in range(1, len(parts)))
    return key in known or any(item in known for item in as_items)
