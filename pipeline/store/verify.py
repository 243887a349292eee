"""Verify artifacts: read every byte and compare it with the seal; several files are read at once.

Reading and hashing release Python's lock, so the disk, or one core's SHA-256, is the limit.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.store.artifact import Artifact, DamagedError, FileRecord, content_digest, file_problem, load_artifact
from pipeline.store.fingerprint import digest_file, fingerprint
from pipeline.store.layout import MANIFEST

READERS = 4


def verify_artifacts(artifacts: Iterable[Artifact]) -> dict[str, list[str]]:
    """Return reference -> problems, one line each; an intact artifact has an empty list."""
    with ThreadPoolExecutor(READERS) as pool:
        pending = {artifact.ref: _start(artifact, pool) for artifact in artifacts}
        return {ref: [f"{ref}: {problem}" for problem in finish()] for ref, finish in pending.items()}


def _start(artifact: Artifact, pool: ThreadPoolExecutor) -> Callable[[], list[str]]:
    """Start reading the files of an artifact; return a function that waits for it and returns the problems."""
    try:
        manifest = load_artifact(artifact.path).manifest
    except FileNotFoundError:
        return lambda: [f"{MANIFEST} is missing"]
    except DamagedError as error:
        reason = error.reason
        return lambda: [reason]
    files = [pool.submit(_problem, artifact.path, name, record) for name, record in manifest.files.items()]

    def finish() -> list[str]:
        problems = [problem for file in files if (problem := file.result())]
        content = (path for path in artifact.path.rglob("*") if path.is_symlink() or not path.is_dir())
        present = {path.relative_to(artifact.path).as_posix() for path in content}
        problems += [f"{name} was added" for name in sorted(present - set(manifest.files) - {MANIFEST})]
        if content_digest(manifest.files) != manifest.digest:
            problems.append(f"{MANIFEST} lists other files than its digest")
        inputs = {role: record.fingerprint or record.digest for role, record in manifest.inputs.items()}
        if fingerprint(manifest.stage, manifest.code_version, manifest.config, inputs) != manifest.fingerprint:
            problems.append(f"{MANIFEST} lists another configuration or other inputs than its fingerprint")
        return problems

    return finish


def _problem(folder: Path, name: str, record: FileRecord) -> str:
    try:
        return file_problem(folder, name, record, digest_file)
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}"
