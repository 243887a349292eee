"""A recipe is a configuration that comes with the project, as a starting point for others.

It is a YAML file like a user's. Its first comment line describes it; ``per_task`` has the differences between
downstream tasks: task name -> the keys that it changes.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.config.merge import Tree
from pipeline.config.yaml_text import read_yaml
from pipeline.errors import ConfigError

FOLDER = Path(__file__).parent / "recipes"


def recipes() -> list[tuple[str, str]]:
    """Return the recipes of the project: name and one-line description."""
    return [(path.stem, _description(path.read_text("utf-8"))) for path in sorted(FOLDER.glob("*.yaml"))]


def recipe_text(name: str) -> str:
    """Return the YAML text of a recipe.

    Raises:
        ConfigError: there is no such recipe; names the nearest one and all there are.
    """
    names = [known for known, _ in recipes()]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"there is no recipe {name!r}: {hint}the recipes are {', '.join(names)}")
    return (FOLDER / f"{name}.yaml").read_text("utf-8")


def recipe_tree(name: str) -> Tree:
    """Return the values of a recipe as written, ``per_task`` included."""
    tree: Tree = read_yaml(recipe_text(name), f"recipe {name}")
    return tree


def split_per_task(tree: Mapping[str, object], where: str) -> tuple[Tree, dict[str, Tree]]:
    """Return a document without its ``per_task``, and ``per_task``: task name -> changes.

    Raises:
        ConfigError: ``per_task`` is not a mapping from task names to keys.
    """
    changes = tree.get("per_task") or {}
    if not isinstance(changes, Mapping) or not all(isinstance(part, Mapping) for part in changes.values()):
        raise ConfigError(f"{where}: per_task maps a task name to the keys it changes, e.g. {{sst2: {{seed: 1}}}}")
    rest = {key: value for key, value in tree.items() if key != "per_task"}
    return rest, {str(name): dict(part) for name, part in changes.items()}


def for_task(per_task: Mapping[str, Tree], task_name: object) -> Tree:
    """Return the changes for a task, ignoring case and punctuation of its name; empty if there are none."""
    same = [changes for name, changes in per_task.items() if _key(name) == _key(str(task_name))]
    return same[0] if same else {}


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _description(text: str) -> str:
    return next((line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")), "")
