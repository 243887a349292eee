"""To verify is to read every byte and compare it with its seal; several files are read at once.

Reading and hashing leave Python's lock, so a disk, or one core's SHA-256, is the limit.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.store.artifact import Artifact, DamagedError, FileRecord, content_digest, is_linked, load_artifact
from pipeline.store.fingerprint import digest_file, fingerprint
from pipeline.store.layout import MANIFEST

READERS = 4


def verify_artifacts(artifacts: Iterable[Artifact]) -> dict[str, list[str]]:
    """Reference -> problems, one line each, of every artifact; none is an empty list."""
    with ThreadPoolExecutor(READERS) as pool:
        asked = {artifact.ref: _ask(artifact, pool) for artifact in artifacts}
        return {ref: [f"{ref}: {problem}" for problem in answer()] for ref, answer in asked.items()}


def _ask(artifact: Artifact, pool: ThreadPoolExecutor) -> Callable[[], list[str]]:
    """Have the files of an artifact read; what is called later waits for that and says what is wrong."""
    try:
        manifest = load_artifact(artifact.path).manifest
    except FileNotFoundError:
        return lambda: [f"{MANIFEST} is missing"]
    except DamagedError as error:
        reason = error.reason
        return lambda: [reason]
    read = [pool.submit(_file, artifact, name, record) for name, record in manifest.files.items()]

    def answer() -> list[str]:
        problems = [problem for one in read if (problem := one.result())]
        present = {file.relative_to(artifact.path).as_posix() for file in artifact.path.rglob("*") if _is_content(file)}
        problems += [f"{name} was added" for name in sorted(present - set(manifest.files) - {MANIFEST})]
        if content_digest(manifest.files) != manifest.digest:
            problems.append(f"{MANIFEST} lists other files than its digest")
        inputs = {role: record.fingerprint or record.digest for role, record in manifest.inputs.items()}
        if fingerprint(manifest.stage, manifest.code_version, manifest.config, inputs) != manifest.fingerprint:
            problems.append(f"{MANIFEST} lists another configuration or other inputs than its fingerprint")
        return problems

    return answer


def _file(artifact: Artifact, name: str, record: FileRecord) -> str | None:
    """What is wrong with one file, or None."""
    if is_linked(artifact.path, name):
        return f"{name} is a link"
    try:
        size, sha256 = (artifact.path / name).stat().st_size, digest_file(artifact.path / name)
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}"
    if size != record.size:
        return f"{name} has {size} bytes instead of {record.size}"
    return None if sha256 == record.sha256 else f"{name} has other content (same size)"


def _is_content(path: Path) -> bool:
    """Whether this is more than a folder: a link to one is."""
    return path.is_symlink() or not path.is_dir()
