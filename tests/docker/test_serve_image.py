"""docker/Dockerfile.serve: what a serving process imports is in serve.txt, and neither torch nor Prefect is."""

import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from compose_file import DOCKER
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = DOCKER.parent
TEXT = (DOCKER / "Dockerfile.serve").read_text(encoding="utf-8")
LISTED = (DOCKER / "serve.txt").read_text(encoding="utf-8").split()
OPTIONAL = {
    "orjson",
    "sniffio",
    "opentelemetry-api",
    "pydantic-extra-types",
    "websockets",
    "uvloop",
    "httptools",
}  # used if there
LOADED = """
import sys
before = set(sys.modules)  # a venv's own start-up hooks
from importlib.metadata import packages_distributions
import flows.cli
from pipeline.export import answers, locate, onnx_scorer, rows
from pipeline.export.serving import application, server
from pipeline.store import store
import onnxruntime, tokenizers, flows.ship, flows.shipping.serve, flows.shipping.predict
owners = packages_distributions()
print(*sorted({owners[top][0] for name in set(sys.modules) - before if (top := name.partition(".")[0]) in owners}))
"""


def installed(names: list[str]) -> set[str]:
    """Distributions that pip brings for some names, their own dependencies included."""
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if canonicalize_name(name) not in found:
            found.add(canonicalize_name(name))
            below = [Requirement(text) for text in distribution(name).requires or ()]
            waiting += [one.name for one in below if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def test_what_serving_imports_is_installed() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {canonicalize_name(name) for name in done.stdout.split()} - {"tinybert-pipeline"}
    assert {"onnxruntime", "tokenizers", "fastapi"} <= loaded
    assert loaded - OPTIONAL <= installed(LISTED)
    assert not {"torch", "transformers", "prefect", "pyarrow"} & installed(LISTED)


def test_what_is_listed_is_locked() -> None:
    locked = {
        canonicalize_name(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    assert installed(LISTED) <= locked


def test_what_is_copied_exists_and_is_let_through() -> None:
    ignore = (DOCKER / "Dockerfile.serve.dockerignore").read_text(encoding="utf-8").splitlines()
    copies = [line.split()[1:-1] for line in TEXT.splitlines() if re.match(r"COPY (?!--from)", line)]
    wanted = {source for sources in copies for source in sources}
    assert {line[1:] for line in ignore if line.startswith("!")} == wanted
    assert all((ROOT / source).exists() for source in wanted)


def test_it_is_built_as_the_other_image_is() -> None:
    other = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    pinned = re.search(r"ARG PYTHON=\S+", other)
    assert pinned is not None
    assert pinned[0] in TEXT
    assert "PIP_CONSTRAINT=/build/constraints.txt" in TEXT
    user = TEXT.index("\nUSER tinybert")
    assert not re.search(r"^(RUN|COPY)", TEXT[user:], flags=re.MULTILINE)
    assert Path(DOCKER / "healthy.py").is_file()
