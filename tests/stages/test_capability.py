"""Each warning follows from what was found, and says the way out; a machine that fits has none."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.config.run import RunConfig
from pipeline.device.host import Disk, Host
from pipeline.device.peak import Gpu
from pipeline.engine.inspection import Findings, choices, warnings

GB = 10**9
HOST = Host("a CPU", cores=8, instructions=("avx2",), memory_bytes=16 * GB, swapped_bytes=0)
DISK = Disk("ext4", free_bytes=100 * GB, write_bytes_per_second=1e9, read_bytes_per_second=1e9)
GPU = Gpu("a GPU", "9.0", 80 * GB)
FITTING = Findings(
    host=HOST,
    disk=DISK,
    device="cpu",
    threads=8,
    busy_cores=0.1,
    products="MKL",
    packs=True,
    gpus=(),
    gpu_files=False,
    peaks={"float32": 1e11, "bfloat16": 1e10},
    precision="float32",
    teacher_precision="float32",
    slow=None,
    compiles=(False, "auto: a CPU"),
    compiler=None,
    shared_memory_bytes=8 * GB,
)


def config(**runtime: Any) -> RunConfig:
    tree = {"teacher": {"model": "t"}, "corpus": {"paths": ["c"]}, "runtime": runtime}
    return RunConfig.model_validate(tree)


def chosen(found: Findings, asked: RunConfig | None = None) -> dict[str, tuple[str, str]]:
    return {name: (choice, why) for name, choice, why in choices(asked or config(), found)}


def test_a_machine_that_fits_has_no_warning() -> None:
    assert warnings(config(), FITTING) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"threads": 9}, "9 threads on 8 cores: set runtime.num_threads (or OMP_NUM_THREADS) to 8"),
        ({"busy_cores": 6.2}, "keep 6.2 of 8 cores busy"),
        ({"busy_cores": 6.2}, "or set runtime.num_threads to 2"),
        ({"slow": "bfloat16 is 50.0x slower"}, "50.0x slower"),
        ({"gpu_files": True}, "a GPU that torch cannot use: install its driver"),
        ({"gpus": (GPU,)}, "a GPU is not used: set runtime.device to auto"),
        ({"gpus": (GPU, GPU), "device": "cuda"}, "one of 2 GPUs is used: start the run with torchrun"),
        ({"host": replace(HOST, swapped_bytes=2 * GB)}, "2.0 GB of memory are swapped out"),
        ({"disk": replace(DISK, filesystem="tmpfs")}, "is in memory (tmpfs) and gone with it: set runtime.store"),
        ({"disk": replace(DISK, filesystem="nfs4")}, "is on a network (nfs4)"),
        ({"disk": replace(DISK, free_bytes=GB)}, "runtime.teacher_store_gb is 10, but 1.0 GB are free"),
        ({"shared_memory_bytes": 64 << 20}, "holds 64 MB, little for several processes"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_stands_in_the_way_is_said_once(changed: dict[str, Any], said: str) -> None:
    (warning,) = warnings(config(), replace(FITTING, **changed))
    assert said in warning


def test_choices_follow_the_device() -> None:
    on_cpu = chosen(FITTING)
    assert on_cpu["teacher_layers"][0] == "packed (oneDNN)"
    assert chosen(replace(FITTING, packs=False))["teacher_layers"][0] == "as they are"
    assert on_cpu["device"] == ("cpu", "torch finds no GPU")
    assert on_cpu["compile"] == ("off", "auto: a CPU")
    assert on_cpu["precision"] == ("float32", "auto: the CPU is not known to have units for bfloat16")
    host = replace(HOST, instructions=("amx_bf16",))
    narrow = RunConfig.model_validate(
        {"teacher": {"model": "t"}, "corpus": {"paths": ["c"]}, "students": [{"layers": 2, "hidden": 84}]}
    )
    assert chosen(replace(FITTING, host=host), narrow)["precision"] == (
        "float32",
        "auto: bfloat16 pays from students 256 wide on this CPU",
    )
    with_units = chosen(replace(FITTING, precision="bfloat16"))
    assert with_units["precision"] == ("bfloat16", "auto: the CPU has units for it")
    there = replace(FITTING, device="cuda", gpus=(GPU,), precision="bfloat16", compiles=(True, "it can"))
    on_gpu = chosen(there)
    assert on_gpu["device"] == ("cuda", "torch finds a GPU")
    assert on_gpu["precision"] == ("bfloat16", "auto: the GPU has units for it")
    assert on_gpu["compile"][0] == "on"
    assert on_gpu["teacher_layers"][0] == "as they are"


def test_a_faster_precision_is_offered_and_not_taken() -> None:
    choice, why = chosen(replace(FITTING, peaks={"float32": 1e11, "bfloat16": 5e11}))["precision"]
    assert choice == "float32"
    assert "5.0x as fast" in why
    assert "precision=bfloat16" in why


def test_the_teacher_store_is_never_promised_more_than_is_free() -> None:
    assert chosen(FITTING)["teacher_store"][0] == "up to 10 GB"
    assert chosen(replace(FITTING, disk=replace(DISK, free_bytes=3 * GB)))["teacher_store"][0] == "up to 3 GB"
    assert chosen(FITTING, config(teacher_store_gb=0.0))["teacher_store"][0] == "off"
