"""docs/architecture.md speaks of files that exist, and its walks go one way."""

import ast
import re
from pathlib import Path

import pytest
from test_architecture import ROOT, imports

TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
STEP = re.compile(r"^\d+\. `(?P<path>[^`]+)`: (?P<rest>.*(?:\n   .*)*)", re.MULTILINE)
WALKS = {
    title: [(found["path"], found["rest"]) for found in STEP.finditer(part)]
    for title, part in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    if STEP.search(part)
}
EVERY_STEP = [step for steps in WALKS.values() for step in steps]


def module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def defined(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_every_file_and_folder_it_names_exists() -> None:
    named = set(re.findall(r"`((?:flows|tasks|pipeline|tests|docs|benchmarks)/[^`\s]*)`", TEXT))
    named |= {path for path, _ in EVERY_STEP} | set(re.findall(r"python (\S+\.py)", TEXT))
    assert len(named) > 30
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_a_training_step_is_a_walk_of_at_most_twelve_files() -> None:
    assert list(WALKS) == ["From a command to a stage's work", "Follow one training step"]
    assert 8 <= len(WALKS["Follow one training step"]) <= 12


@pytest.mark.parametrize(("path", "rest"), EVERY_STEP, ids=lambda value: value if value.endswith(".py") else "")
def test_the_names_of_a_step_are_defined_in_its_file(path: str, rest: str) -> None:
    first, *_ = re.findall(r"`(\w+)`", rest)
    assert first in defined(path)
    if path == "pipeline/training/loop.py":
        assert "_backward" in defined(path)


@pytest.mark.parametrize("title", WALKS)
def test_no_file_of_a_walk_imports_one_above_it(title: str) -> None:
    paths = [path for path, _ in WALKS[title]]
    above: set[str] = set()
    for path in paths:
        needed = {name.rpartition(".")[0] for _, name in imports(ROOT / path)} | {
            name for _, name in imports(ROOT / path)
        }
        assert not needed & above, path
        above.add(module(path))


def test_every_room_has_a_line() -> None:
    rooms = [path for path in Path(ROOT / "pipeline").iterdir() if (path / "__init__.py").is_file()]
    assert [room.name for room in rooms if f"`pipeline/{room.name}/`" not in TEXT] == []
