"""How much there is to read: counts of the source of a tree, the files a training step passes, seconds of two commands.

    python benchmarks/structure.py [--trees BEFORE AFTER] [--repeats 11]

The training step is the third one of the phase ``intermediate`` of the tiny run in the tree's own tests. Seconds are
those of the processor, user and system together, of a process from its start to its end; trees take turns.
"""

import argparse
import ast
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("pipeline", "tasks", "flows")
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
IMPORTS = ast.Import | ast.ImportFrom
# In a process of its own, as each tree has a pipeline of its own.
STEP = """
import json, sys, tempfile, threading
from pathlib import Path
sys.path[:0] = [".", "tests"]
from tiny_run import tiny
from pipeline.distillation.terms.hidden import HiddenTerm
from pipeline.training.state import State

root, here, on, stack = Path.cwd(), set(), [False], []
folders = tuple(f"{root / name}/" for name in ("pipeline", "tasks", "flows"))

def note(frame, event, _argument):
    if on[0] and event == "call" and frame.f_code.co_filename.startswith(folders):
        here.add(frame.f_code.co_filename)

begin, forward = State.begin, HiddenTerm.forward

def began(self):
    on[0] = self.step == 2
    return begin(self)

def passed(self, *arguments):
    frame = sys._getframe(1)
    while frame is not None and on[0] and not stack[-1:] == ["end"]:
        name = frame.f_code.co_filename
        if name.startswith(folders) and name not in stack:
            stack.append(name)
        frame = frame.f_back
    if on[0] and stack[-1:] != ["end"]:
        stack.append("end")
    return forward(self, *arguments)

run = tiny(Path(tempfile.mkdtemp()) / "run")
for before in ("general_distillation", "teacher_logits"):
    run.run(until=before)
State.begin, HiddenTerm.forward = began, passed
threading.setprofile(note)
sys.setprofile(note)
run.run(until="intermediate")
sys.setprofile(None)
named = [str(Path(name).relative_to(root)) for name in stack[-2::-1]] + ["pipeline/distillation/terms/hidden.py"]
print(json.dumps([named, sorted(str(Path(name).relative_to(root)) for name in here)]))
"""


def sources(tree: Path) -> dict[str, ast.Module]:
    """The parsed files by module name."""
    return {
        ".".join(path.relative_to(tree).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for folder in FOLDERS
        for path in sorted((tree / folder).rglob("*.py"))
    }


def imported(module: ast.Module) -> Iterator[str]:
    """Full names of what a file imports, wherever in it."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def in_circles(modules: dict[str, ast.Module]) -> list[str]:
    """The modules that cannot be put into an order in which each imports earlier ones alone."""
    needs = {
        name: {
            target
            for found in imported(module)
            for target in (found, found.rpartition(".")[0])
            if target in modules and target != name
        }
        for name, module in modules.items()
    }
    while free := {name for name, targets in needs.items() if not targets & needs.keys()}:
        needs = {name: targets for name, targets in needs.items() if name not in free}
    # What merely imports a circle is in none: the same from the other end.
    while free := {name for name in needs if not any(name in targets for targets in needs.values())}:
        needs = {name: targets for name, targets in needs.items() if name not in free}
    return sorted(needs)


def late_imports(module: ast.Module) -> int:
    """Lines with an import inside a function."""
    functions = (node for node in ast.walk(module) if isinstance(node, FUNCTIONS))
    return len({node.lineno for function in functions for node in ast.walk(function) if isinstance(node, IMPORTS)})


def longest_function(modules: dict[str, ast.Module]) -> tuple[int, str]:
    """Lines of the longest function, its docstring included, and its name."""
    return max(
        ((node.end_lineno or 0) - node.lineno + 1, f"{name}.{node.name}")
        for name, module in modules.items()
        for node in ast.walk(module)
        if isinstance(node, FUNCTIONS)
    )


def processor_seconds(tree: Path, *arguments: str) -> float:
    """Seconds of the processor for ``tinybert ARGUMENTS``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "flows.cli", *arguments], cwd=tree, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def code_lines(text: str) -> int:
    """Lines without blank ones, comments and docstrings."""
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in nothing
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | FUNCTIONS) and ast.get_docstring(node, clean=False) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def show_counts(tree: Path) -> None:
    """Print what is counted in a tree."""
    modules = sources(tree)
    texts = [path.read_text("utf-8") for folder in FOLDERS for path in (tree / folder).rglob("*.py")]
    lines, code = (sum(count(text) for text in texts) for count in (lambda text: text.count("\n"), code_lines))
    print(f"files: {len(modules)}, lines: {lines}, of code: {code}")
    late = {name: count for name, module in modules.items() if (count := late_imports(module))}
    print(f"imports inside functions: {sum(late.values())} in {len(late)} files")
    print(f"files in circles of imports: {len(circle := in_circles(modules))} {' '.join(circle)}")
    print("longest function: {} lines, {}".format(*longest_function(modules)))
    step = subprocess.run([sys.executable, "-c", STEP], cwd=tree, check=True, capture_output=True, text=True)
    stack, ran = json.loads(step.stdout.splitlines()[-1])
    print(f"from materialize to a term: {len(stack)} files\n  " + "\n  ".join(stack))
    print(f"that a training step runs: {len(ran)} files\n  " + "\n  ".join(ran))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=Path, nargs="+", default=[Path(__file__).parents[1]])
    parser.add_argument("--repeats", type=int, default=11)
    given = parser.parse_args()
    trees = [tree.resolve() for tree in given.trees]
    for tree in trees:
        print(f"{tree}:")
        show_counts(tree)
    if not given.repeats:
        return
    with tempfile.TemporaryDirectory() as store:
        plan = ("plan", "--recipe", "demo", f"runtime.store={store}/artifacts")
        for name, arguments in {"--help": ("--help",), "plan --recipe demo": plan}.items():
            rounds = [[processor_seconds(tree, *arguments) for tree in trees] for _ in range(given.repeats + 1)]
            for tree, taken in zip(trees, zip(*rounds[1:], strict=True), strict=True):  # the first one fills caches
                low, middle, high = min(taken), statistics.median(taken), max(taken)
                print(f"{tree}: tinybert {name}: {middle:.3f} s of the processor ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
