"""Inspect this machine: what it can do, what a run would use and why, and what makes it slow or fails.

The machine is measured once; choices and warnings are pure functions of the measurements and the configuration.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.device.host import MEMORY, NETWORK, Disk, Host, busy_cores, disk, host
from pipeline.device.peak import Gpu, gpus, matmul_peak, products_library
from pipeline.distillation.attention_loss import takes_gram
from pipeline.engine.compilation import compilation, find_compiler
from pipeline.engine.precision import (
    CPU_UNITS,
    CPU_WIDTH,
    has_device_file,
    student_precision,
    teacher_precision,
)
from pipeline.engine.run_training import device, slow_precision
from pipeline.errors import StoreError
from pipeline.models.precision import exact_float32
from pipeline.models.speed.packed import pack
from pipeline.store.disk import check_folder

GB = 10**9
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, never written
SMALL_SHARED_MEMORY = 256 << 20  # containers often have 64 MB
MUCH_FASTER = 1.5
SPARE = 0.5  # of a core that others may keep busy before it is worth a word
MUCH_SWAPPED = 0.05  # of the memory
# Head widths of the paper's four-layer student and of BERT-base, as an example of where the loss changes its form.
STUDENT_HEAD, TEACHER_HEAD = 26, 64


class Choice(NamedTuple):
    """One choice that a run makes by itself.

    Attributes:
        name: what is chosen, such as "precision".
        choice: the value.
        why: the reason, in a few words.
    """

    name: str
    choice: str
    why: str


@dataclass(frozen=True)
class Findings:
    """The measurements of a machine.

    Attributes:
        host: processor and memory.
        disk: free space and speed of the disk of the store.
        device: device that models run on, as torch names it.
        threads: number of threads that torch uses on the CPU.
        busy_cores: number of cores that other processes keep busy now.
        products: library that multiplies matrices on the CPU.
        packs: whether a teacher's linear layers are packed for that library.
        gpus: GPUs that torch can use.
        gpu_files: whether the system has a GPU, usable or not.
        peaks: precision -> FLOP/s of a large matrix product on the device.
        precision: precision of the students.
        teacher_precision: precision of the teacher.
        slow: warning about a precision that is slow on this device; None without one.
        compiles: whether models are compiled, and why.
        compiler: path of the C++ compiler; None without one.
        shared_memory_bytes: size of /dev/shm; None if it does not exist.
    """

    host: Host
    disk: Disk
    device: str
    threads: int
    busy_cores: float
    products: str
    packs: bool
    gpus: tuple[Gpu, ...]
    gpu_files: bool
    peaks: dict[Precision, float]
    precision: Precision
    teacher_precision: Precision
    slow: str | None
    compiles: tuple[bool, str]
    compiler: str | None
    shared_memory_bytes: int | None


def examine(config: RunConfig) -> Findings:
    """Measure this machine, which takes about a second.

    Args:
        config: its device, precision and store are inspected.

    Raises:
        ConfigError: the configuration asks for a device or for compiling, which this machine does not have.
        StoreError: the store cannot be written.
    """
    busy = busy_cores()  # before anything is measured here
    where = device(config.runtime)
    exact_float32()
    precision, teachers = student_precision(config), teacher_precision(config)
    return Findings(
        host=host(),
        disk=_store_disk(Path(config.runtime.store)),
        device=str(where),
        threads=torch.get_num_threads(),
        busy_cores=busy,
        products=products_library(),
        packs=where.type == "cpu" and pack(torch.nn.Linear(1, 1)),
        gpus=gpus(),
        gpu_files=has_device_file(),
        peaks={
            "float32": matmul_peak(where, torch.float32),
            "bfloat16": matmul_peak(where, torch.bfloat16),
        },
        precision=precision,
        teacher_precision=teachers,
        slow=slow_precision(precision, where) or slow_precision(teachers, where),
        compiles=compilation(config.runtime, where),
        compiler=find_compiler(),
        shared_memory_bytes=shutil.disk_usage(SHARED_MEMORY).total if SHARED_MEMORY.is_dir() else None,
    )


def choices(config: RunConfig, found: Findings) -> list[Choice]:
    """List what a run would use on this machine, and why.

    Args:
        config: configuration of the run.
        found: the measurements.
    """
    wanted, cuda = config.runtime, found.device.startswith("cuda")
    why_device = f"torch finds {'a' if cuda else 'no'} GPU"
    gram_from = next(n for n in range(1, 10**6) if takes_gram(n, STUDENT_HEAD, TEACHER_HEAD))
    compiles, why = found.compiles
    budget = min(wanted.teacher_store_gb * GB, found.disk.free_bytes)
    return [
        Choice("device", found.device, why_device if wanted.device == "auto" else f"runtime.device is {wanted.device}"),
        Choice("cpu_threads", str(found.threads), _why_threads(config)),
        Choice("precision", found.precision, _why_precision(config, found, found.precision, "students", cuda=cuda)),
        Choice(
            "teacher_precision",
            found.teacher_precision,
            _why_precision(config, found, found.teacher_precision, "a teacher", cuda=cuda),
        ),
        Choice("attention", "fused (SDPA)", "in every layer; queries and keys are read in the mapped layers alone"),
        Choice(
            "attention_loss",
            f"Gram form from {gram_from} tokens",
            f"direct below; for heads {STUDENT_HEAD} wide imitating {TEACHER_HEAD}, growing with both",
        ),
        Choice(
            "teacher_layers",
            "packed (oneDNN)" if found.packs and not compiles else "as they are",
            "weights are laid out once, bias and GELU added in the same pass; on x86 CPUs, where nothing is compiled",
        ),
        Choice("compile", "on" if compiles else "off", why),
        Choice("optimizer", "AdamW, fused", "one kernel for all weights"),
        Choice("processes", "1", "one a device; more: torchrun --nproc-per-node N --no-python tinybert run"),
        Choice(
            "teacher_store",
            f"up to {budget / GB:.0f} GB" if budget else "off",
            f"runtime.teacher_store_gb is {wanted.teacher_store_gb:g}; {found.disk.free_bytes / GB:.0f} GB are free",
        ),
    ]


def warnings(config: RunConfig, found: Findings) -> list[str]:
    """List what makes a run slow or risky, each with the way to mend it; none of it stops the run.

    Args:
        config: configuration of the run.
        found: the measurements.
    """
    said = [found.slow] if found.slow else []
    if found.threads > found.host.cores:
        said.append(
            f"torch uses {found.threads} threads on {found.host.cores} cores: set runtime.num_threads (or "
            f"OMP_NUM_THREADS) to {found.host.cores}"
        )
    others = found.busy_cores
    if (
        found.device == "cpu"
        and found.threads > 1
        and found.host.cores - others < min(found.threads, found.host.cores) - SPARE
    ):
        said.append(
            f"other processes keep {others:.1f} of {found.host.cores} cores busy: threads that share a small product "
            "wait for each other, and a training takes longer than its share of the cores says; end them, or set "
            f"runtime.num_threads to {max(1, round(found.host.cores - others))}"
        )
    if found.gpu_files and not found.gpus:
        said.append("this machine shows a GPU that torch cannot use: install its driver and a torch built for it")
    if found.gpus and found.device == "cpu":
        said.append(f"{found.gpus[0].name} is not used: set runtime.device to auto")
    if len(found.gpus) > 1 and found.device != "cpu":
        said.append(f"one of {len(found.gpus)} GPUs is used: start the run with torchrun, one process a GPU")
    if found.host.swapped_bytes > MUCH_SWAPPED * found.host.memory_bytes:
        said.append(f"{found.host.swapped_bytes / GB:.1f} GB of memory are swapped out: end what does not have to run")
    return said + _disk_warnings(config, found)


def _disk_warnings(config: RunConfig, found: Findings) -> list[str]:
    store, disk, said = config.runtime.store, found.disk, []
    if disk.filesystem in MEMORY:
        said.append(f"the store {store} is in memory ({disk.filesystem}) and gone with it: set runtime.store to a disk")
    if disk.filesystem in NETWORK:
        said.append(
            f"the store {store} is on a network ({disk.filesystem}): reading teacher features back may be slower than "
            "computing them; a local disk is better for a single machine"
        )
    if config.runtime.teacher_store_gb * GB > disk.free_bytes:
        said.append(
            f"runtime.teacher_store_gb is {config.runtime.teacher_store_gb:g}, but {disk.free_bytes / GB:.1f} GB are "
            f"free for the store {store}: free some, or lower it"
        )
    shared = found.shared_memory_bytes
    if shared is not None and shared < SMALL_SHARED_MEMORY:
        said.append(f"{SHARED_MEMORY} holds {shared >> 20} MB, little for several processes: docker run --shm-size 1g")
    return said


def _why_threads(config: RunConfig) -> str:
    if config.runtime.num_threads:
        return "runtime.num_threads"
    if os.environ.get("OMP_NUM_THREADS"):
        return "OMP_NUM_THREADS"
    return "torch's choice: one a core; they spin for a moment and then sleep, which leaves room for other work"


def _why_precision(config: RunConfig, found: Findings, chosen: Precision, whose: str, *, cuda: bool) -> str:
    if config.precision != "auto":
        return f"precision is {config.precision}"
    where = "GPU" if cuda else "CPU"
    if chosen == "bfloat16":
        return f"auto: the {where} has units for it"
    if not cuda and CPU_UNITS in found.host.instructions:
        return f"auto: bfloat16 pays from {whose} {CPU_WIDTH} wide on this CPU"
    why = f"auto: the {where} is not known to have units for bfloat16"
    gain = found.peaks["bfloat16"] / found.peaks["float32"]
    if gain < MUCH_FASTER:
        return why
    return f"{why}, yet its products run {gain:.1f}x as fast here: precision=bfloat16"


def _store_disk(root: Path) -> Disk:
    """Measure the disk of the store, or the disk that it would be created on."""
    check_folder(root)
    there = next(path for path in (root.absolute(), *root.absolute().parents) if path.exists())
    try:
        return disk(there)
    except OSError as error:
        raise StoreError(
            f"cannot write the store {root}: {error.strerror} ({there}); make it writable, or set runtime.store to a "
            "folder that is"
        ) from error
