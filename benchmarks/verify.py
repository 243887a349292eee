"""How fast ``artifacts verify`` reads: against merely reading the same files, from disk and from memory.

    python benchmarks/verify.py [--gigabytes 2] [--files 8] [--folder FOLDER]

Rates are of wall time, the best of ``--rounds``, the two ways taking turns.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.config.base import Config
from pipeline.config.runtime import Runtime
from pipeline.store.artifact import Artifact
from pipeline.store.materialize import materialize
from pipeline.store.stage import Stage, StageRun
from pipeline.store.store import Store

BLOCK = 1 << 20


class Size(Config):
    """What is written."""

    files: int
    blocks: int


def write(size: Size, run: StageRun) -> None:
    """Random files, as weights are to a hash."""
    for number in range(size.files):
        with (run.output / f"file{number}").open("wb") as file:
            for _ in range(size.blocks):
                file.write(os.urandom(BLOCK))


def forget(artifact: Artifact) -> None:
    """Have the files come from the disk again."""
    for name in artifact.manifest.files:
        descriptor = os.open(artifact.path / name, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def read(artifact: Artifact) -> None:
    """Read every file once, in order, and do nothing with it."""
    block = bytearray(BLOCK)
    for name in artifact.manifest.files:
        with (artifact.path / name).open("rb", buffering=0) as file:
            while file.readinto(block):
                pass


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=None, help="On the disk to measure; the temporary folder otherwise.")
    asked = parser.parse_args()
    size = Size(files=asked.files, blocks=round(asked.gigabytes * 1024 / asked.files))
    with TemporaryDirectory(dir=asked.folder) as folder:
        store = Store(Path(folder) / "artifacts")
        artifact = materialize(Stage("weights", 1, size, {}, write), store, Runtime()).artifact
        told = sum(record.size for record in artifact.manifest.files.values()) / 1e9
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, {told:.2f} GB, {size.files} files")
        for source, prepare in (("disk", forget), ("memory", read)):
            best = {"read": float("inf"), "verify": float("inf")}
            for _ in range(asked.rounds):
                for way, work in (("read", lambda: read(artifact)), ("verify", lambda: store.verify(artifact))):
                    prepare(artifact)
                    best[way] = min(best[way], seconds(work))
            rates = ", ".join(f"{way} {told / took:.2f} GB/s" for way, took in best.items())
            print(f"from {source}: {rates}, verify takes {best['verify'] / best['read']:.2f} times as long")


if __name__ == "__main__":
    main()
