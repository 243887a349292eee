"""docker/Dockerfile: what it copies is enough to build the package, what it installs is locked, nobody is root."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from compose_file import DOCKER, read
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = DOCKER.parent
TEXT = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
LINES = re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
STEPS = [(word, rest.strip()) for line in LINES if line.strip() for word, _, rest in [line.partition(" ")]]
KNOWN = {"ARG", "FROM", "WORKDIR", "RUN", "ENV", "COPY", "USER", "VOLUME", "HEALTHCHECK", "CMD"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = re.search(r"\[([\w,]+)\]", next(rest for word, rest in STEPS if "pip install" in rest))


def copied() -> list[tuple[list[str], str]]:
    """Sources and target of each COPY from the build context."""
    found = [rest.split() for word, rest in STEPS if word == "COPY" and not rest.startswith("--from")]
    return [(words[:-1], words[-1]) for words in found]


def context(folder: Path) -> Path:
    """What the first stage has copied, where pip builds the package."""
    for sources, target in copied():
        if target.startswith("/"):
            continue
        for source in sources:
            there = folder / target / (Path(source).name if target.endswith("/") else "")
            there.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, there, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, there)
    return folder


def test_every_step_is_one_that_docker_knows() -> None:
    assert {word for word, _ in STEPS} == KNOWN
    assert STEPS[-1] == ("CMD", '["tinybert", "--help"]')


def test_what_is_copied_exists_and_is_let_through() -> None:
    ignore = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignore  # nothing but what is named
    let_through = {line[1:] for line in ignore if line.startswith("!")}
    wanted = {source for sources, _ in copied() for source in sources}
    assert wanted == let_through
    assert all((ROOT / source).exists() for source in wanted)


def test_base_image_and_dependencies_are_pinned() -> None:
    assert all(re.fullmatch(r"python:\$\{PYTHON\}( AS \w+)?", rest) for word, rest in STEPS if word == "FROM")
    assert ("ARG", "PYTHON=3.11.14-slim-bookworm") in STEPS
    assert any(word == "ENV" and "PIP_CONSTRAINT=/build/constraints.txt" in rest for word, rest in STEPS)
    assert set(re.findall(r"https?://([\w.]+)", TEXT)) == {"download.pytorch.org"}
    assert "trusted-host" not in TEXT
    assert read()["services"]["server"]["image"].endswith(f":{PROJECT['version']}")


def test_nobody_is_root_and_nothing_is_secret() -> None:
    user = next(index for index, (word, _) in enumerate(STEPS) if word == "USER")
    assert STEPS[user] == ("USER", "tinybert")
    assert not [word for word, _ in STEPS[user:] if word in {"RUN", "COPY"}]
    assert re.search(r"useradd .*--uid 10001 tinybert", TEXT)
    assert not re.search(r"(PASSWORD|AUTH_STRING|TOKEN|API_KEY)", TEXT)


def test_the_variants_are_a_build_argument() -> None:
    assert ("ARG", "TORCH=cpu") in STEPS
    assert '"https://download.pytorch.org/whl/${TORCH}"' in TEXT
    assert read()["services"]["server"]["build"]["args"] == {"TORCH": "${TORCH:-cpu}"}


def test_the_health_check_is_there_and_says_no() -> None:
    _, asks = next(step for step in STEPS if step[0] == "HEALTHCHECK")
    assert '["python", "/opt/healthy.py"]' in asks
    assert (["docker/healthy.py"], "/opt/healthy.py") in copied()
    for name, service in read()["services"].items():
        assert ("/opt/healthy.py" in service["healthcheck"]["test"]) == ("HEALTH" in service["environment"]), name
    check = [sys.executable, DOCKER / "healthy.py"]
    assert subprocess.run(check, env={}, check=False).returncode == 0
    asked = subprocess.run(check, env={"HEALTH": "http://127.0.0.1:9/"}, capture_output=True, text=True, check=False)
    assert asked.returncode == 1
    assert asked.stderr.startswith("http://127.0.0.1:9/: ")
    assert asked.stderr.count("\n") == 1


def test_everything_that_is_installed_is_locked() -> None:
    assert EXTRAS is not None
    locked = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split())
    locked = {canonicalize_name(name): version for name, version in locked.items()}
    seen: set[tuple[str, str]] = set()
    extras = PROJECT["optional-dependencies"]
    waiting = [Requirement(need) for part in EXTRAS[1].split(",") for need in (*PROJECT["dependencies"], *extras[part])]
    while waiting:
        need = waiting.pop()
        for extra in ("", *need.extras):
            if (need.name, extra) not in seen:
                seen.add((need.name, extra))
                below = [Requirement(text) for text in distribution(need.name).requires or ()]
                waiting += [one for one in below if one.marker is None or one.marker.evaluate({"extra": extra})]
    names = {canonicalize_name(name) for name, _ in seen}
    assert {"torch", "prefect", "prefect-redis", "prefect-kubernetes", "asyncpg"} <= names
    assert {name: distribution(name).version.partition("+")[0] for name in names} == {
        name: locked.get(name) for name in names
    }


@pytest.mark.slow
def test_the_package_is_built_from_what_is_copied(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(build, cwd=context(tmp_path), check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"flows/cli.py", "flows/job.py", "flows/services/reports.py", "tasks/stage.py"} <= names
    assert "pipeline/config/recipes/demo-teacher/model.safetensors" in names
    recipes = (ROOT / "pipeline" / "config" / "recipes").glob("*.yaml")
    assert {path.relative_to(ROOT).as_posix() for path in recipes} <= names
    assert not [name for name in names if name.startswith("tests") or name.endswith(".pyc")]
