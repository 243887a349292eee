"""Whatever is imported is declared: another package that happens to bring it along may stop doing so."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
OWN = {"pipeline", "tasks", "flows", "tests", "benchmarks"}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
EVERYTHING = [*PROJECT["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]
CONSTRAINTS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line
)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]) for requirement in requirements}


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def imported(paths: list[Path]) -> Iterator[tuple[str, Path]]:
    """Top-level modules of other people that files import, wherever in them, or name in an import by text."""
    beside = {path.stem for path in paths} | {path.parent.name for path in paths}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found: list[str] = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found = [node.module]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "importorskip")):
                found = [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
            for name in found:
                top = name.split(".")[0]
                if top not in OWN and top not in sys.stdlib_module_names and top not in beside:
                    yield top, path


def undeclared(paths: list[Path], declared: set[str]) -> set[str]:
    distributions = packages_distributions()
    found = set()
    for module, path in imported(paths):
        owners = {normal(name) for name in distributions.get(module, [module])}
        if not owners & declared:
            found.add(f"{path.relative_to(ROOT)} imports {module} of {' or '.join(sorted(owners))}")
    return found


def test_what_the_product_imports_is_declared() -> None:
    optional = names([*EXTRAS["chinese"], *EXTRAS["dask"], *EXTRAS["export"], *EXTRAS["pos"]])
    assert undeclared(sources("pipeline", "tasks", "flows"), names(PROJECT["dependencies"]) | optional) == set()


def test_what_tests_and_benchmarks_import_is_declared() -> None:
    assert undeclared(sources("tests", "benchmarks", "docker"), names(EVERYTHING)) == set()


@pytest.mark.parametrize(
    "requirement", [*PROJECT["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]
)
def test_the_tested_versions_are_among_the_declared_ones(requirement: str) -> None:
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    pinned = {normal(name): version for name, version in CONSTRAINTS.items()}
    if normal(wanted.name) == PROJECT["name"]:
        return
    assert wanted.specifier.contains(pinned[normal(wanted.name)])
