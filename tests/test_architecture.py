"""The law of direction: flows -> tasks -> stages -> checks -> engine -> rooms -> (store, config), and never back."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("data", "models", "distillation", "training", "augmentation", "evaluation", "device", "export", "report")
ABOVE_THE_ENGINE = ("pipeline.stages", "pipeline.cost", "pipeline.checks")
LOWEST = ("errors", "features", "hub", "memory", "progress")
HEAVY = ("torch", "transformers", "datasets", "accelerate", "tokenizers", "prefect", "sklearn", "nlpaug")
# Imports inside functions: of what is optional, heavy and seldom needed, or waits for Prefect's settings; only fewer.
LAZY = {
    "flows/job.py": 1,
    "flows/plan.py": 2,
    "flows/prefect_settings.py": 1,
    "flows/rehearsal.py": 3,
    "flows/run_flow.py": 4,
    "flows/services/state.py": 1,
    "pipeline/augmentation/augmenters/tang2019.py": 1,
    "pipeline/augmentation/words/segmentation.py": 1,
    "pipeline/checks/known.py": 1,
    "pipeline/checks/students_fit.py": 1,
    "pipeline/data/corpus/text.py": 2,
    "pipeline/data/tasks/readers.py": 1,
    "pipeline/engine/compilation.py": 1,
    "pipeline/engine/machine.py": 1,
    "pipeline/engine/precision.py": 2,
    "pipeline/evaluation/scores.py": 1,
    "pipeline/models/speed/compilation.py": 1,
    "pipeline/stages/corpus.py": 1,
    "pipeline/training/team.py": 2,
    "tasks/device_lock.py": 1,
    "tasks/fan_out.py": 1,
    "tasks/patience.py": 1,
    "tasks/publish.py": 1,
}


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found or folders == ("pipeline/export",), f"no source in {folders}"
    return found


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, wherever in it; ``from a import b`` is ``a.b``."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module) if part)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def room(name: str) -> str:
    """pipeline.data.tokens.table.TokenTable -> data."""
    return [*name.split("."), ""][1]


def violations(paths: list[Path], forbidden: object) -> list[str]:
    assert callable(forbidden)
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for line, name in imports(path)
        if forbidden(name)
    ]


def of(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_the_names_of_imports_are_read_in_full() -> None:
    """The rules below are as good as this reading."""
    pipeline = ROOT / "pipeline" / "models" / "load.py"
    assert "torch" in {name for _, name in imports(pipeline)}
    assert "pipeline.errors.ModelError" in {name for _, name in imports(pipeline)}
    lazy = {name for _, name in imports(ROOT / "flows" / "run_flow.py")}
    assert "flows.two_stage.two_stage_flow" in lazy  # imported inside a function


def test_the_pipeline_runs_without_prefect() -> None:
    assert violations(sources("pipeline"), lambda name: of(name, "prefect", "tasks", "flows")) == []


def test_tasks_know_no_flows() -> None:
    assert violations(sources("tasks"), lambda name: of(name, "flows")) == []


def test_store_and_config_know_nothing_above_them() -> None:
    above = (*(f"pipeline.{name}" for name in (*ROOMS, "engine")), *ABOVE_THE_ENGINE)
    assert violations(sources("pipeline/config", "pipeline/store"), lambda name: of(name, *above)) == []
    assert violations(sources("pipeline/config"), lambda name: of(name, "pipeline.store")) == []
    assert violations(sources("pipeline/config", "pipeline/store"), lambda name: of(name, *HEAVY)) == []


@pytest.mark.parametrize("own", ROOMS)
def test_rooms_meet_above_them_only(own: str) -> None:
    allowed = (own, "config", "store", *LOWEST)
    assert violations(sources(f"pipeline/{own}"), lambda name: of(name, "pipeline") and room(name) not in allowed) == []


def test_the_engine_knows_no_stage() -> None:
    """Stages say what runs; what runs does not know which stage asked."""
    assert violations(sources("pipeline/engine"), lambda name: of(name, *ABOVE_THE_ENGINE, "tasks", "flows")) == []
    assert violations(sources("pipeline/checks"), lambda name: of(name, "pipeline.stages", "pipeline.cost")) == []


def test_no_files_import_each_other_in_a_circle() -> None:
    """Wherever in a file the import stands, and by whatever way round."""
    known = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sources("pipeline")}
    needs = {
        module: {
            target
            for _, name in imports(path)
            for target in (name, name.rpartition(".")[0])
            if target in known and target != module
        }
        for module, path in known.items()
    }
    while free := [module for module, targets in needs.items() if not targets & needs.keys()]:
        for module in free:
            del needs[module]
    assert sorted(needs) == []


def test_distillation_knows_torch_and_itself() -> None:
    def foreign(name: str) -> bool:
        known = name.split(".", maxsplit=1)[0] in sys.stdlib_module_names
        return not (known or of(name, "torch", "pipeline.distillation", "pipeline.features"))

    assert violations(sources("pipeline/distillation"), foreign) == []


def test_configuration_is_written_above_the_rooms() -> None:
    """Rooms take what a user configured as plain arguments, or as a class of config/; none has a model of its own.

    But for a bundle, whose file is read from outside and checked strictly.
    """
    rooms = [path for room in ROOMS for path in sources(f"pipeline/{room}") if path.name != "bundle.py"]
    assert violations(rooms, lambda name: of(name, "pydantic", "pipeline.config.base")) == []


def test_nothing_is_pickled() -> None:
    picklers = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")
    everything = sources("pipeline", "tasks", "flows")
    assert violations(everything, lambda name: of(name, *picklers)) == []
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno} calls torch.{node.func.attr}"
        for path in everything
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr) in {("torch", "save"), ("torch", "load")}
    ]
    assert calls == []
    assert violations(everything, lambda name: of(name, "torch.save", "torch.load")) == []


def test_no_file_is_named_after_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "process", "handle"}
    everything = sources("pipeline", "tasks", "flows", "tests")
    assert [path for path in everything if path.stem in vague or path.parent.name in vague] == []


def lazy_imports(path: Path) -> int:
    """How many imports stand inside functions of a file."""
    lines = {
        node.lineno
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return len(lines)


def test_imports_stand_at_the_top() -> None:
    """A stage names what it runs, and a command too: nothing else has to be imported late."""
    found = {path.relative_to(ROOT).as_posix(): lazy_imports(path) for path in sources("pipeline", "tasks", "flows")}
    assert {path: number for path, number in found.items() if number} == LAZY
    assert sum(LAZY.values()) < 40


def test_each_file_of_the_stages_is_a_stage() -> None:
    """Besides, there is the graph that joins them."""
    makers = [path for path in sources("pipeline/stages") if path.name not in {"__init__.py", "graph.py"}]
    others = [
        path.name
        for path in makers
        if not any(
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Stage"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    ]
    assert others == []


def test_stages_import_no_heavy_library() -> None:
    """Wherever in a file: what does the work of a stage lies in the engine."""
    stages = sources("pipeline/stages", "pipeline/checks")
    assert violations(stages, lambda name: of(name, *HEAVY, "numpy", "pyarrow")) == []


@pytest.mark.parametrize("module", ["pipeline.config.run", "pipeline.store.store", "pipeline.stages.graph"])
def test_planning_loads_no_heavy_library(module: str) -> None:
    """Imported for real, so that what the libraries themselves import counts too."""
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        path
        for path in sources("pipeline", "tasks", "flows")
        if path.read_text(encoding="utf-8").strip()
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []
