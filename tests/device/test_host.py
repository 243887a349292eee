"""What Linux says of a machine is read as it is written, and a disk is measured without leaving a trace."""

import os
from pathlib import Path

import pytest

from pipeline.device.host import (
    DISK_TEST_BYTES,
    cores_of,
    disk,
    field,
    filesystem_of,
    host,
    usual_threads,
)

CPUINFO = (
    "processor\t: 0\nmodel name\t: Xeon: Gold\nflags\t\t: fpu avx2 amx_bf16\n\nprocessor\t: 1\nmodel name\t: other\n"
)
MOUNTS = (
    "/dev/vda / ext4 rw 0 0\ntmpfs /run/memory tmpfs rw 0 0\nserver:/x /mnt/my\\040data nfs4 rw 0 0\n"
    "old /mnt/disk ext3 rw 0 0\nnew /mnt/disk xfs rw 0 0\n"
)


def test_the_first_processor_is_read() -> None:
    assert field(CPUINFO, "model name") == "Xeon: Gold"
    assert field(CPUINFO, "flags").split() == ["fpu", "avx2", "amx_bf16"]
    assert field(CPUINFO, "Features") == ""


def test_processors_that_share_a_core_are_one() -> None:
    text = "".join(f"processor : {n}\nphysical id : {n // 4}\ncore id : {n % 2}\n\n" for n in range(8))
    assert len(cores_of(range(8), text)) == 4
    assert len(cores_of((0, 2), text)) == 1
    assert len(cores_of((0, 4), text)) == 2
    assert len(cores_of(range(8), "")) == 8  # where nothing is known


@pytest.mark.parametrize(
    ("text", "threads"), [("1", 1), ("1,2", 1), ("many", None), ("0", None), ("", None), ("9999", None)]
)
def test_the_environment_says_how_many_threads(text: str, threads: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert usual_threads() == threads or (threads is None and 1 <= usual_threads() <= host().cores)


def test_torch_would_use_as_many() -> None:
    import subprocess
    import sys

    code = (
        "import torch; from pipeline.device.host import usual_threads; print(torch.get_num_threads(), usual_threads())"
    )
    for environment in ({}, {"OMP_NUM_THREADS": "1"}):
        kept = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
        done = subprocess.run(
            [sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True, check=True
        )
        torchs, ours = done.stdout.split()
        assert torchs == ours, environment


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/store", "ext4"),
        ("/run/memory/store", "tmpfs"),
        ("/run/memories", "ext4"),
        ("/mnt/my data/store", "nfs4"),
        ("/mnt/disk/store", "xfs"),
    ],
)
def test_the_deepest_mount_holds_a_folder(folder: str, kind: str) -> None:
    assert filesystem_of(Path(folder), MOUNTS) == kind


def test_without_mounts_the_file_system_is_unknown() -> None:
    assert filesystem_of(Path("/srv"), "") == ""


def test_this_machine_has_a_processor() -> None:
    here = host()
    assert here.cpu
    assert here.cores >= 1
    assert here.memory_bytes > DISK_TEST_BYTES
    assert here.swapped_bytes >= 0


def test_a_disk_is_measured_without_a_trace(tmp_path: Path) -> None:
    found = disk(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert found.free_bytes > 0
    assert 0 < found.write_bytes_per_second < 1e12
    assert 0 < found.read_bytes_per_second < 1e13


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        disk(tmp_path / "none")
