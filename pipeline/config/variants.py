"""Configurations to compare: of several recipes, or of one run with a part taken out or changed at a time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.load import load_config, read_file
from pipeline.config.run import RunConfig
from pipeline.config.yaml_text import read_yaml
from pipeline.errors import ConfigError

ABLATIONS = Path(__file__).parent / "ablations.yaml"
WHOLE = "all"  # the run that an ablation takes a part of
WITHOUT_GENERAL = "no-general-distillation"


@dataclass(frozen=True)
class Variant:
    """One of the runs that are compared.

    Attributes:
        name: what the table calls it.
        config: its configuration, without a seed of the students.
    """

    name: str
    config: RunConfig

    def seeded(self, seeds: int) -> tuple[RunConfig, ...]:
        """Return the configuration once a seed: rows, teacher and variants are shared, students begin anew.

        Args:
            seeds: number of seeds, counted up from that of the configuration.
        """
        first = self.config.seed_of_students
        kept = self.config.runtime.model_copy(update={"retention": None})  # the table still needs what a run has made
        return tuple(
            self.config.model_copy(
                update={"student_seed": first + number, "name": f"{self.name} {first + number}", "runtime": kept}
            )
            for number in range(seeds)
        )


def recipes_compared(path: str | None, overrides: Sequence[str], recipes: Sequence[str]) -> list[Variant]:
    """One run of each recipe, the user's file lying over it.

    Args:
        path: YAML file with data, teacher and students; None for none.
        overrides: ``key=value``, for all of them.
        recipes: their names.

    Raises:
        ConfigError: the file names a recipe or phases of its own, a recipe is named twice, or does not exist.
    """
    document = read_file(path) if path is not None else {}
    taken: list[str] = [key for key in ("recipe", "phases") if key in document]
    taken += [text for text in overrides if text.split("=")[0].split(".")[0] == "phases"]
    if taken:
        raise ConfigError(
            f"{path or 'an override'} sets {taken[0]}, which is what the recipes are compared by: leave it out"
        )
    for name in recipes:
        if recipes.count(name) > 1:
            raise ConfigError(f"recipe {name} is compared with itself: name it once")
    return [Variant(name, load_config(path, overrides, name)) for name in recipes]


def ablated(
    path: str | None, overrides: Sequence[str], recipe: str | None, file: str | None
) -> tuple[list[Variant], list[str]]:
    """A run as it is, and again with a part of it changed at a time.

    Args:
        path: the run's YAML file; None for none.
        overrides: ``key=value``, for all of them.
        recipe: to start from.
        file: YAML file, name -> keys and their values; None takes the paper's own ablations.

    Returns:
        The variants, the whole run first, and a remark on each of the paper's ablations that this run cannot have.

    Raises:
        ConfigError: the file is none, or one of its changes does not fit; of the paper's own these are left out.
    """
    whole = load_config(path, overrides, recipe)
    found, remarks = [Variant(WHOLE, whole)], []
    for name, changes in read_ablations(file).items():
        if file is None:
            changes = _fitting(whole, name, changes)  # noqa: PLW2901 - the paper's own, cut to this run
            if not changes:
                remarks.append(f"{name} is left out: this run has no general distillation to leave out")
                continue
        changed = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
        try:
            config = load_config(path, [*overrides, *changed], recipe)
        except ConfigError as error:
            if file is not None:
                raise ConfigError(f"{file}: {name}: {error}") from error
            remarks.append(f"{name} is left out: {error}")
            continue
        found.append(Variant(name, config))
    return found, remarks


def _fitting(whole: RunConfig, name: str, changes: Mapping[str, object]) -> Mapping[str, object]:
    """One of the paper's ablations without what would add to this run instead of taking out of it."""
    general = [student.name for student in whole.students if student.start == "general"]
    if name == WITHOUT_GENERAL:
        if whole.general_distillation is None or not any(student.learns_general for student in whole.students):
            return {}
        return {"general_distillation": None, **{f"students.{student}.start": "random" for student in general}}
    if whole.corpus is None or whole.general_distillation is None:
        return {key: value for key, value in changes.items() if not key.startswith("general_distillation.")}
    return changes


def read_ablations(file: str | None) -> dict[str, Mapping[str, object]]:
    """Read a file of named overrides: name -> key -> value.

    Raises:
        ConfigError: it cannot be read, or holds something else; names the place.
    """
    tree = read_yaml(ABLATIONS.read_text("utf-8"), "ablations") if file is None else read_file(file)
    wrong = [name for name, changes in tree.items() if not isinstance(changes, Mapping) or not changes or name == WHOLE]
    if wrong:
        raise ConfigError(
            f"{file}: {wrong[0]} is no ablation: write a name and the keys it changes, e.g. "
            "no-attention: {phases.*.terms.attention: 0}"
        )
    return {str(name): changes for name, changes in tree.items() if isinstance(changes, Mapping)}
