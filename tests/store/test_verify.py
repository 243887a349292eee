"""A disk that changes a bit without a word: cheap checks cannot see it, verifying does, and the next run mends it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.base import Config
from pipeline.store.disk import write_atomic
from pipeline.store.fingerprint import digest_file
from pipeline.store.store import Store


class Size(Config):
    files: int = 3
    size: int = 100_000


def write(size: Size, run: Any) -> None:
    for number in range(size.files):
        (run.output / f"file{number}").write_bytes(os.urandom(size.size))


def rot(store: Store, path: Path) -> None:
    """Change a bit so that the file system shows no trace: what is remembered of the file fits it still."""
    digest = digest_file(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    stat = path.stat()
    later = max(stat.st_mtime_ns, stat.st_ctime_ns) + 10_000_000_000
    entry = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, later, digest]
    write_atomic(store.layout.digests, json.dumps({str(path.absolute()): entry}).encode())


def test_a_bit_that_rotted_is_found_by_reading_and_rebuilt_by_the_next_run(house: Any) -> None:
    stage = house.stage("weights", Size(), run=write)
    artifact = house.run(stage).artifact
    rot(house.store, artifact.path / "file1")
    assert house.run(stage).state == "reused"  # nothing was touched, as far as a stat can tell
    assert house.store.verify(artifact) == [f"{artifact.ref}: file1 has other content (same size)"]
    outcome = house.run(stage)
    assert outcome.state == "completed"
    assert any("file1 has other content" in line for line in house.notes.lines)
    (aside,) = house.store.layout.quarantine.iterdir()
    assert len((aside / "file1").read_bytes()) == Size().size
    assert house.store.verify(*house.store.list()) == []


def test_using_an_artifact_again_reads_none_of_it(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import pipeline.store.digest_cache as cache

    stage = house.stage("weights", Size(), run=write)
    artifact = house.run(stage).artifact
    old = artifact.manifest.files
    for name in old:  # written long enough ago
        os.utime(artifact.path / name, (1_000_000_000, 1_000_000_000))
    read: list[str] = []

    def digest(path: Path) -> str:
        read.append(path.name)
        return digest_file(path)

    monkeypatch.setattr(cache, "digest_file", digest)
    monkeypatch.setattr(cache, "RACY_NS", -1)
    house.run(stage)
    assert sorted(set(read)) == sorted(old)
    read.clear()
    assert house.run(stage).state == "reused"
    assert read == []


def test_every_problem_of_every_artifact_is_told_once(house: Any) -> None:
    artifacts = [house.run(house.stage(f"stage{number}", Size(size=10), run=write)).artifact for number in range(3)]
    (artifacts[0].path / "file0").unlink()
    (artifacts[0].path / "file2").write_bytes(b"")
    (artifacts[2].path / "manifest.json").write_text("{}")
    assert house.store.verify(*artifacts) == [
        f"{artifacts[0].ref}: file0 cannot be read: No such file or directory",
        f"{artifacts[0].ref}: file2 has 0 bytes instead of 10",
        f"{artifacts[2].ref}: manifest.json cannot be read",
    ]
