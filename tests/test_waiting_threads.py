"""Threads that wait for each other give their core away, unless a user wants otherwise: asked of OpenMP itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
LIBGOMP = "OpenMP" in torch.__config__.parallel_info() and sys.platform == "linux"


@pytest.mark.skipif(not LIBGOMP, reason="torch runs on another threading library here")
@pytest.mark.parametrize(
    ("chosen", "policy"),
    [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"), ({"GOMP_SPINCOUNT": "7"}, None)],
)
def test_openmp_is_told_before_torch_is_loaded(chosen: dict[str, str], policy: str | None) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", "import pipeline, os, torch; torch.ones(1); print(os.environ.get('OMP_WAIT_POLICY'))"],
        cwd=ROOT,
        env=clean | {"OMP_DISPLAY_ENV": "VERBOSE"} | chosen,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(policy)
    if policy is not None:
        assert f"OMP_WAIT_POLICY = '{policy}'" in done.stderr
    else:
        assert "GOMP_SPINCOUNT = '7'" in done.stderr
