"""How commands ask for a configuration: a file, a recipe, overrides."""

from typing import Annotated

import typer

from pipeline.config.load import load_config
from pipeline.config.run import RunConfig

ConfigArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[CONFIG.yaml] [key=value ...]", help="A file, then overrides.")
]
RecipeOption = Annotated[str | None, typer.Option(help="Start from a recipe; see: tinybert recipes.")]
UntilOption = Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after this stage.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def configuration(arguments: list[str] | None, recipe: str | None) -> RunConfig:
    """The configuration a command is given; the demonstration when it is given none."""
    given = list(arguments or [])
    path = given.pop(0) if given and "=" not in given[0] else None
    if path is None and recipe is None:
        recipe = "demo"
    return load_config(path, given, recipe)
