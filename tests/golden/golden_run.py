"""What the tiny run learns, as references that a change of the code is compared with.

A reference holds, stage by stage, every logged term of every training and a digest of every weight file.
The last bits of a sum of floats differ between kinds of processors and versions of torch: on a machine of the same
kind all must be the same to the last bit, on another one the curves are compared within a tolerance and the
weights not at all.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))  # as pytest has it, for the command that records

from tiny_run import PRETRAINED, Tiny, tiny, write_tree  # noqa: E402 - see above

from pipeline.device.host import host  # noqa: E402

REFERENCES = Path(__file__).parent / "references"
NOBODY = "http://127.0.0.1:9/api"  # the discard port: no server answers, the flow runs alone
# Of a loss, on another kind of processor; sums taken in another order differ by 1e-6 after one step, and by more
# the longer a training goes on.
TOLERANCE = 1e-3
COPIES = ("report",)  # stages whose weights are another stage's
OF_THE_MACHINE = ("machine",)  # keys of a configuration slice that describe where a run takes place

Reference = dict[str, Any]


def one_process(folder: Path) -> Tiny:
    """The tiny run by this process; made once a process, like every finished one."""
    return tiny(folder, finished=True)


def two_processes(folder: Path) -> Tiny:
    """The tiny run by two processes that share each batch."""
    run = tiny(folder)
    (folder / "private").mkdir()
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--monitor-interval=0.1")
    subprocess.run(
        [sys.executable, *launcher, "-m", "flows.cli", "run", "tiny.yaml", "--until", "evaluation", "--quiet"],
        cwd=folder,
        env=os.environ
        | {"PREFECT_API_URL": NOBODY, "PREFECT_CLIENT_MAX_RETRIES": "0", "PREFECT_HOME": str(folder / "prefect")}
        | {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder / "private"), "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    return run


def pretraining(folder: Path) -> Tiny:
    """The part of the tiny run that makes its own teacher from nothing."""
    run = tiny(folder)
    write_tree(folder, PRETRAINED)
    run.run(until="pretrain")
    return run


RUNS = {run.__name__: run for run in (one_process, two_processes, pretraining)}


def kind_of_machine() -> dict[str, str]:
    """What the last bits depend on."""
    found = host()
    return {
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu": found.cpu,
        "instructions": " ".join(found.instructions),
    }


def observed(run: Tiny) -> Reference:
    """The reference that a run would leave."""
    stages: Reference = {}
    for artifact in run.store.list():
        curves = dict(_curves(artifact.path))
        weights = {
            str(path.relative_to(artifact.path)): weights_digest(path)
            for path in sorted(artifact.path.rglob("*.safetensors"))
            if artifact.manifest.stage not in COPIES
        }
        if curves or weights:
            stages[artifact.manifest.stage] = {"curves": curves, "weights": weights}
    return {"made_on": kind_of_machine(), "stages": stages}


def ingredients(run: Tiny) -> Reference:
    """What the fingerprints of a run are made of, but for the digests of its inputs."""
    return {
        manifest.stage: {
            "version": manifest.code_version,
            "inputs": {role: given.stage or "source" for role, given in sorted(manifest.inputs.items())},
            "config": {key: value for key, value in manifest.config.items() if key not in OF_THE_MACHINE},
        }
        for manifest in (artifact.manifest for artifact in run.store.list())
    }


def weights_digest(path: Path) -> str:
    """SHA-256 of the tensors of a safetensors file by name, shape and type; its metadata does not count."""
    whole = sha256()
    with safe_open(path, framework="pt") as file:
        for name in sorted(file.keys()):
            tensor = file.get_tensor(name).contiguous()
            whole.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
            whole.update(tensor.view(-1).view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def differences(reference: Reference, found: Reference) -> tuple[str, list[str]]:
    """Which comparison was made, and what differs, a line each.

    Args:
        reference: as recorded.
        found: as observed now.
    """
    recorded, here = reference["made_on"], found["made_on"]
    if recorded == here:
        return "exact: the same kind of machine", list(_unequal(reference["stages"], found["stages"], ""))
    other = ", ".join(
        f"{key} {here.get(key)} (recorded: {recorded[key]})" for key in recorded if here.get(key) != recorded[key]
    )
    curves = [_without_scores(one) for one in (reference, found)]
    return f"curves within {TOLERANCE:g}, weights not compared: {other}", list(_unequal(*curves, "", TOLERANCE))


def _without_scores(reference: Reference) -> Reference:
    """The losses of each stage. One row told otherwise moves an accuracy by more than any tolerance."""
    return {
        stage: {
            training: {name: values for name, values in logged.items() if name != "scores"}
            for training, logged in each["curves"].items()
        }
        for stage, each in reference["stages"].items()
    }


def _unequal(expected: Any, found: Any, path: str, tolerance: float = 0.0) -> Iterator[str]:
    """Every place where two trees differ; numbers by more than the tolerance, relative to the expected one."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key in [*expected, *(key for key in found if key not in expected)]:
            yield from _unequal(expected.get(key), found.get(key), f"{path}/{key}", tolerance)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = zip(expected, found, strict=True)
        unequal = [(at, *pair) for at, pair in enumerate(pairs) if not _close(*pair, tolerance)]
        if unequal:
            yield f"{path}: {len(unequal)} of {len(expected)} differ, the first at {unequal[0]}"
    elif expected != found:
        yield f"{path}: {found!r} instead of {expected!r}"


def _close(expected: Any, found: Any, tolerance: float) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return abs(found - expected) <= tolerance * abs(expected)
    return bool(expected == found)


def _curves(artifact: Path) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """Training and learner -> everything it logged, a list each."""
    for path in sorted(artifact.glob("*_history.json")):
        training = path.name.removesuffix("_history.json")
        for learner, history in json.loads(path.read_text()).items():
            points = history["curve"]
            logged = {name: [point[name] for point in points] for name in points[0] if name != "step"}
            yield f"{training}/{learner}", logged | {"scores": [score for _, score in history["scores"]]}


def read_reference(name: str) -> Reference:
    found: Reference = json.loads((REFERENCES / f"{name}.json").read_text(encoding="utf-8"))
    return found


def write_reference(name: str, reference: Reference) -> Path:
    """As JSON that a person can compare: a key a line, a curve on one."""
    REFERENCES.mkdir(exist_ok=True)
    path = REFERENCES / f"{name}.json"
    path.write_text(_text(reference) + "\n", encoding="utf-8")
    return path


def _text(value: Any, indent: str = "") -> str:
    if not isinstance(value, Mapping) or not value:
        return json.dumps(value)
    inner = indent + " "
    lines = ",\n".join(f"{inner}{json.dumps(key)}: {_text(each, inner)}" for key, each in value.items())
    return f"{{\n{lines}\n{indent}}}"
