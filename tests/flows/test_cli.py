"""The command line where the store alone has the answer: neither Prefect nor torch is needed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import STAGES, Tiny

from flows.cli import main
from pipeline.config.load import load_config
from pipeline.errors import ConfigError, DataError, ModelError, PipelineError, StoreError

Ask = Callable[..., tuple[int, str, str]]
HEAVY = {"torch", "transformers", "prefect", "datasets", "sklearn", "matplotlib", "pyarrow", "accelerate"}


@pytest.fixture
def tinybert(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Exit code, standard output and standard error of a command."""

    def ask(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return ask


def loaded_by(folder: Path, *arguments: str) -> tuple[int, set[str]]:
    """Exit code of a command in an interpreter of its own, and which heavy libraries it imported."""
    script = (
        "import json, sys\n"
        "from flows.cli import main\n"
        "try:\n    main(json.loads(sys.argv[1]))\n"
        "except SystemExit as left:\n"
        "    print('\\n' + json.dumps([left.code, [name for name in sys.modules if '.' not in name]]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(arguments)], cwd=folder, capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    return code or 0, HEAVY & set(modules)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("run", "--help"),
        ("recipes",),
        ("plan", "tiny.yaml"),
        ("run", "tiny.yaml"),
        ("run", "tiny.yaml", "--json"),
        ("status",),
        ("deploy", "--help"),
        ("artifacts", "list"),
        ("artifacts", "verify"),
        ("artifacts", "lineage", "report"),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported_to_answer_from_the_store(run: Tiny, arguments: tuple[str, ...]) -> None:
    assert loaded_by(run.folder, *arguments) == (0, set())


def test_a_finished_run_does_nothing_and_shows_its_result(run: Tiny, tinybert: Ask) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run.folder / "artifacts").glob("*/v*/*")}
    code, out, err = tinybert("run", "tiny.yaml")
    assert (code, err) == (0, "")
    assert "nothing to do" in out
    assert all(name in out for name in ("teacher", "distilled", "random-start", "accuracy"))
    assert f"report: artifacts/{run.artifact('report').ref}/report.html\n" in out
    assert before == {path: path.stat().st_mtime_ns for path in (run.folder / "artifacts").glob("*/v*/*")}
    code, out, _ = tinybert("run", "tiny.yaml", "--json")
    assert code == 0
    assert json.loads(out)["artifacts"] == {stage: run.artifact(stage).ref for stage in STAGES}
    code, out, _ = tinybert("run", "tiny.yaml", "--until", "teacher", "--quiet")
    assert code == 0
    assert out == f"output: artifacts/{run.artifact('teacher').ref}\n"


def test_a_plan_for_a_script(run: Tiny, tinybert: Ask) -> None:
    code, out, err = tinybert("plan", "tiny.yaml", "phases.prediction.terms.soft.temperature=2", "--json")
    assert (code, err) == (0, "")
    steps = json.loads(out)
    assert [step["stage"] for step in steps] == list(STAGES)
    assert {step["stage"] for step in steps if step["action"] == "run"} == {
        "prediction",
        "evaluation",
        "latency",
        "report",
    }
    changed = next(step for step in steps if step["stage"] == "prediction")
    assert changed["reasons"] == ["configuration: phase.terms.soft.temperature 1.0 -> 2.0"]
    assert next(step for step in steps if step["stage"] == "teacher") == {
        "stage": "teacher",
        "action": "reuse",
        "reasons": [],
        "fingerprint": run.artifact("teacher").manifest.fingerprint,
        "other_versions": {},
    }


def test_a_plan_for_a_person(run: Tiny, tinybert: Ask) -> None:
    code, out, _ = tinybert("plan", "tiny.yaml", "task.name='[bold]'", "--until", "task_data")
    assert code == 0
    assert "task.name" in out
    assert "[bold]" in out  # and not a word in bold
    code, out, _ = tinybert("plan", "tiny.yaml", "--until", "corpus")
    assert out.split() == ["stage", "why", "corpus", "reuse", run.artifact("corpus").ref]


def test_a_plan_of_an_empty_store_makes_none(fresh: Tiny, tinybert: Ask) -> None:
    code, out, _ = tinybert("plan", "tiny.yaml", "--json")
    assert code == 0
    assert {step["action"] for step in json.loads(out)} == {"run"}
    assert not (fresh.folder / "artifacts").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("plan", "tiny.yam"), ConfigError, ("tiny.yam", "does not exist", "did you mean tiny.yaml?")),
        (("plan", "tiny.yaml", "seed=many"), ConfigError, ("seed", "many")),
        (("plan", "tiny.yaml", "sead=1"), ConfigError, ("sead", "seed")),
        (("run", "tiny.yaml", "--seed", "3"), ConfigError, ("--seed is no option", "seed=3")),
        (
            ("plan", "--phases.prediction.terms.soft.temperature=2"),
            ConfigError,
            ("written phases.prediction.terms.soft.temperature=2",),
        ),
        (("run", "tiny.yaml", "seed=9", "runtime.store=/proc/x"), StoreError, ("/proc/x", "runtime.store")),
        (("plan", "tiny.yaml", "--recipe", "huaway"), ConfigError, ("huaway", "huawei")),
        (("plan", "tiny.yaml", "--until", "corpse"), ConfigError, ("'corpse'", "corpus")),
        (("run", "tiny.yaml", "--until", "corpse"), ConfigError, ("'corpse'", "corpus")),
        (("plan", "tiny.yaml", "augmentation.mlm=null"), ConfigError, ("augmentation.mlm", "vectors")),
        (("plan", "tiny.yaml", "runtime.offline=true", "teacher.model=bert-base"), ConfigError, ("hub:bert-base",)),
        (("init", "tiny.yaml"), ConfigError, ("tiny.yaml", "--force")),
        (("init", "no/such/folder.yaml"), ConfigError, ("no/such/folder.yaml", "name a file")),
        (("plan", "tiny.yaml", "corpus.paths=['none/*.txt']"), DataError, ("none/*.txt", "check the path")),
        (("run", "tiny.yaml", "task.dev=devel.csv"), DataError, ("devel.csv", "task.dev")),
        (("plan", "tiny.yaml", "teacher.model=./techer"), ModelError, ("./techer", "check the path")),
        (("plan", "tiny.yaml", "runtime.store=corpus.txt"), StoreError, ("corpus.txt is not a folder",)),
        (("plan", "tiny.yaml", "runtime.store=corpus.txt/a/b"), StoreError, ("corpus.txt is not a folder",)),
        (("plan", "tiny.yaml", "students.0.heads=5"), ConfigError, ("16 wide", "5 heads", "15 or 20")),
        (("plan", "tiny.yaml", "evaluation.latency_lengths=[]"), ConfigError, ("evaluation.latency_lengths is []",)),
        (("artifacts", "show", "techer"), StoreError, ("techer", "teacher")),
        (("artifacts", "diff", "teacher", "teacher/v9"), StoreError, ("teacher/v9",)),
        (("artifacts", "untag", "best"), StoreError, ("'best'",)),
        (("artifacts", "tag", "teacher", "corpus"), StoreError, ("'corpus'", "choose another name")),
        (("artifacts", "prune", "--keep", "-1"), StoreError, ("-1",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistake_is_one_line_on_standard_error_and_an_exit_code(
    run: Tiny, tinybert: Ask, arguments: tuple[str, ...], error: type[PipelineError], said: tuple[str, ...]
) -> None:
    code, out, err = tinybert(*arguments)
    assert code == error.exit_code
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert [part for part in said if part not in err] == [], err
    assert run.versions() == {stage: [1] for stage in STAGES}


def test_exit_codes_are_those_the_help_names(tinybert: Ask) -> None:
    code, out, _ = tinybert("--help")
    assert code == 0
    named = " ".join(out.replace("│", " ").split())
    families = {"configuration": ConfigError, "data": DataError, "model": ModelError, "store": StoreError}
    for name, error in families.items():
        assert f"{error.exit_code} {name}" in named
    for command in ("run", "plan", "artifacts", "recipes", "init"):
        assert command in named


@pytest.mark.parametrize("arguments", [("plan",), ("plan", "--json"), ("plan", "seed=3", "--json")])
def test_the_demonstration_is_not_taken_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tinybert: Ask, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = tinybert(*arguments)
    assert (code, err) == (0, "no configuration was named: this is the demonstration (--recipe demo)\n")
    assert "--json" not in arguments or json.loads(out)
    assert tinybert("plan", "--recipe", "demo")[2] == ""


def test_it_says_its_version_its_help_and_its_schema(tinybert: Ask) -> None:
    from importlib.metadata import version

    assert tinybert("--version") == (0, f"tinybert-pipeline {version('tinybert-pipeline')}\n", "")
    assert tinybert("-h") == tinybert("--help")
    assert tinybert("artifacts", "list", "-h")[0] == 0
    assert "--install-completion" in tinybert("--help")[1]
    assert "teacher" in json.loads(tinybert("schema")[1])["properties"]


def test_a_shell_is_told_the_commands() -> None:
    """As the script that --install-completion leaves asks for them."""
    asked = {"_TINYBERT_COMPLETE": "complete_bash", "COMP_WORDS": "tinybert pl", "COMP_CWORD": "1"}
    command = [str(Path(sys.executable).with_name("tinybert"))]
    done = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["plan"]


@pytest.mark.parametrize("name", ["pipeline", "tasks"])
def test_a_folder_that_hides_one_of_ours_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "recipes"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path / name} hides the package {name!r} of tinybert" in done.stderr
    assert "torchrun --no-python tinybert run" in done.stderr
    own = str(Path(sys.executable).with_name("tinybert"))
    assert subprocess.run([own, "recipes"], cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_recipes_are_listed(tinybert: Ask) -> None:
    code, out, _ = tinybert("recipes")
    assert code == 0
    code, text, _ = tinybert("recipes", "--json")
    found = {recipe["name"]: recipe["description"] for recipe in json.loads(text)}
    assert set(found) == {"demo", "hinton", "huawei", "tinybert"}
    assert all(name in out for name in found)
    assert all(found.values())


@pytest.mark.parametrize("recipe", ["demo", "hinton", "huawei", "tinybert"])
def test_init_writes_a_file_that_can_be_read_back(fresh: Tiny, tinybert: Ask, recipe: str) -> None:
    code, out, _ = tinybert("init", "mine.yaml", "--recipe", recipe)
    assert (code, out) == (0, "wrote mine.yaml; edit it, then: tinybert run mine.yaml\n")
    missing = [] if recipe == "demo" else ["teacher.model=./teacher", "corpus.paths=[corpus.txt]", "task=null"]
    loaded = load_config("mine.yaml", missing)
    assert loaded == load_config(None, missing, recipe)
    assert tinybert("init", "mine.yaml")[0] == ConfigError.exit_code
    assert tinybert("init", "mine.yaml", "--force")[0] == 0
    assert (fresh.folder / "mine.yaml").read_text() != ""


@pytest.mark.usefixtures("run")
def test_a_defect_of_ours_shows_its_traceback(tinybert: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("flows.commands.plan_run", broken)
    code, _, err = tinybert("run", "tiny.yaml")
    assert code == 70
    assert "Traceback" in err
