"""``tinybert compare`` and ``tinybert ablate``: recipes, or one run without a part of it, over several seeds."""

from typing import Annotated

import typer

from flows.arguments import ConfigArgument, JsonOption, RecipeOption
from flows.later import Later

work_of_compare, work_of_ablate = Later("flows.comparing:compare"), Later("flows.comparing:ablate")
SeedsOption = Annotated[int, typer.Option("--seeds", min=1, help="Seeds of the students, from student_seed upwards.")]
ResamplesOption = Annotated[int, typer.Option("--resamples", min=1, help="Draws of each interval and p.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress.")]


def compare(
    arguments: ConfigArgument = None,
    recipes: Annotated[str, typer.Option("--recipes", help="Their names with commas between, the first to beat.")] = "",
    seeds: SeedsOption = 3,
    resamples: ResamplesOption = 1_000,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run several recipes on one task with several seeds, and put them side by side; what they share is made once."""
    work_of_compare(arguments, recipes, seeds, resamples, quiet=quiet, as_json=as_json)


def ablate(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CONFIG.yaml [ABLATIONS.yaml]] [key=value ...]", help="A run, named overrides of it."),
    ] = None,
    recipe: RecipeOption = None,
    seeds: SeedsOption = 3,
    resamples: ResamplesOption = 1_000,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a configuration whole and with a part changed at a time: the paper's ablations, or those of a file."""
    work_of_ablate(arguments, recipe, seeds, resamples, quiet=quiet, as_json=as_json)
