"""Processor, memory and disk of this machine; systems other than Linux tell less about them."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil

NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "lustre", "ceph", "beegfs")
MEMORY = ("tmpfs", "ramfs")
# What decides how fast matrix products run, as Linux names it.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
DISK_TEST_BYTES, BLOCK_BYTES = 32 << 20, 4 << 20


@dataclass(frozen=True)
class Host:
    """Processor and memory.

    Attributes:
        cpu: name of the processor.
        cores: number of processors that this process may use.
        instructions: instruction sets that matter for matrix products.
        memory_bytes: memory of the machine.
        swapped_bytes: memory that has been moved to a disk.
    """

    cpu: str
    cores: int
    instructions: tuple[str, ...]
    memory_bytes: int
    swapped_bytes: int


@dataclass(frozen=True)
class Disk:
    """The disk of a folder.

    Attributes:
        filesystem: its type, such as ext4; "" if unknown.
        free_bytes: free space that this user may take.
        write_bytes_per_second: speed of writing, synced.
        read_bytes_per_second: speed of reading what was just written; the system is asked to drop it from its cache.
    """

    filesystem: str
    free_bytes: int
    write_bytes_per_second: float
    read_bytes_per_second: float


def host() -> Host:
    """Describe this machine."""
    cpuinfo = _text("/proc/cpuinfo")
    flags = {*field(cpuinfo, "flags").split(), *field(cpuinfo, "Features").split()}
    return Host(
        cpu=field(cpuinfo, "model name") or platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        instructions=tuple(name for name in INSTRUCTIONS if name in flags),
        memory_bytes=psutil.virtual_memory().total,
        swapped_bytes=psutil.swap_memory().used,
    )


def usual_threads() -> int:
    """Return how many threads torch would use: one for each core of this process, or fewer by the environment.

    Processors that share a core (hyper-threads) count as one.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = len(cores_of(allowed, _text("/proc/cpuinfo")))
    for name in ("MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        number = os.environ.get(name, "").split(",")[0].strip()  # OpenMP takes a number a level of nesting
        if number.isdecimal() and int(number) > 0:
            return min(int(number), cores)
    return cores


def cores_of(processors: Iterable[int], cpuinfo: str) -> set[tuple[str, str]]:
    """Return the cores that processors belong to, from the text of /proc/cpuinfo; if unknown, a core for each."""
    blocks = {field(block, "processor"): block for block in cpuinfo.split("\n\n")}
    places = {number: blocks.get(str(number), "") for number in processors}
    return {
        (field(block, "physical id"), field(block, "core id") or f"processor {number}")
        for number, block in places.items()
    }


def field(text: str, name: str) -> str:
    """Return the first value of a name in lines of ``name : value``; "" if there is none."""
    pairs = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in pairs if key.strip() == name), "")


def filesystem_of(folder: Path, mounts: str) -> str:
    """Return the type of the file system that holds a folder, from the text of /proc/mounts; the last mount wins."""
    rows = [line.split() for line in mounts.splitlines() if len(line.split()) >= 3]
    # Spaces in names are written as octal escapes.
    places = [(Path(row[1].replace("\\040", " ")), row[2]) for row in rows]
    above = [(len(place.parts), kind) for place, kind in places if folder.resolve().is_relative_to(place)]
    deepest = max((depth for depth, _ in above), default=0)
    return next((kind for depth, kind in reversed(above) if depth == deepest), "")


def disk(folder: Path) -> Disk:
    """Measure the disk of an existing folder with a file that is deleted afterwards.

    Raises:
        OSError: the folder cannot be written, or is full.
    """
    block = os.urandom(BLOCK_BYTES)
    free = shutil.disk_usage(folder).free
    with tempfile.TemporaryFile(dir=folder) as file:
        descriptor = file.fileno()
        started = perf_counter()
        for _ in range(DISK_TEST_BYTES // BLOCK_BYTES):
            os.write(descriptor, block)
        os.fsync(descriptor)
        written = perf_counter()
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.lseek(descriptor, 0, os.SEEK_SET)
        while os.read(descriptor, BLOCK_BYTES):
            pass
        finished = perf_counter()
    return Disk(
        filesystem=filesystem_of(folder, _text("/proc/mounts")),
        free_bytes=free,
        write_bytes_per_second=DISK_TEST_BYTES / (written - started),
        read_bytes_per_second=DISK_TEST_BYTES / (finished - written),
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def busy_cores(seconds: float = 0.3) -> float:
    """Return how many cores other processes keep busy, measured while this one waits ``seconds``."""
    return psutil.cpu_percent(seconds) / 100 * (psutil.cpu_count() or 1)
