"""Several processes that share the batches out train as one process does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).parent / "on_processes.py"


def trained(folder: Path, processes: int, *more: str) -> dict[str, Any]:
    """What the training came to on so many processes."""
    folder.mkdir(parents=True, exist_ok=True)
    launcher = [
        *("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"),
        "--monitor-interval=0.1",
    ]
    command = [sys.executable, *(launcher if processes > 1 else []), str(SCRIPT), str(folder / "checkpoints")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[2])}
    done = subprocess.run(
        [*command, str(folder / "result.json"), *more], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def curve(found: dict[str, Any], name: str) -> np.ndarray:
    return np.array([point["loss"] for point in found["processes"][0]["curves"][name]["curve"]])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return trained(tmp_path_factory.mktemp("alone"), 1)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_loss_curve_and_weights_are_those_of_one_process(processes: int, alone: dict[str, Any], tmp_path: Path) -> None:
    """Within 1e-5 of the loss: sums are taken in another order, nothing else differs."""
    shared = trained(tmp_path / "shared", processes)
    first, *others = shared["processes"]
    assert len(others) == processes - 1
    for other in others:
        assert other == first  # gradients and weights to the last bit, curves and dev scores
    for name in ("a", "b"):
        np.testing.assert_allclose(curve(shared, name), curve(alone, name), rtol=1e-5)
        scores = [np.array(found["processes"][0]["curves"][name]["scores"]) for found in (shared, alone)]
        np.testing.assert_allclose(*scores, rtol=1e-4, atol=1e-5)
    assert (shared["tokens"], shared["steps"]) == (alone["tokens"], alone["steps"])


@pytest.mark.slow
def test_a_killed_process_costs_the_steps_since_the_last_checkpoint(tmp_path: Path) -> None:
    """The launcher starts all processes again; they go on from the checkpoint that the first one left."""
    whole = trained(tmp_path / "whole", 2)
    killed = tmp_path / "killed"
    killed.mkdir()
    with pytest.raises(AssertionError):
        trained(killed, 2, "9")  # nobody starts it again
    reached = sorted(path.name for path in (killed / "checkpoints").glob("step-*"))
    assert reached[-1] in {"step-00000002", "step-00000003", "step-00000004"}
    for resumed, undisturbed in zip(trained(killed, 2)["processes"], whole["processes"], strict=True):
        assert resumed["gradients"] == undisturbed["gradients"][-len(resumed["gradients"]) :]
        assert resumed["weights"] == undisturbed["weights"]
        assert resumed["curves"] == undisturbed["curves"]
