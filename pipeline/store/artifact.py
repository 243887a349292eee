"""An artifact is a sealed folder: files, and a manifest that says what they are and what they were made from.

The manifest carries a seal, the SHA-256 of its canonical form. The seal detects accidental edits; it is no protection
against forgery.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import StoreError
from pipeline.store.fingerprint import canonical, digest_bytes
from pipeline.store.layout import FOLDER_NAME, MANIFEST, folder_name, reference


def _inside(name: str) -> str:
    """Return the file name if it stays inside the artifact's folder; raise ``ValueError`` otherwise."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError(f"{name!r} is not a name inside the artifact")
    return name


FileName = Annotated[str, AfterValidator(_inside)]
StageName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    """A frozen part of a manifest, validated strictly when it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


class FileRecord(Record):
    """One file: its size in bytes and the SHA-256 of its content."""

    size: int
    sha256: Hex


class InputRecord(Record):
    """One input of a stage: an artifact (digest, stage, version, fingerprint) or a source (digest, paths, identity)."""

    kind: Literal["artifact", "source"]
    digest: Hex
    stage: StageName | None = None
    version: int | None = None
    fingerprint: Hex | None = None
    paths: list[str] | None = None
    identity: str | None = None

    @property
    def ref(self) -> str | None:
        """Reference of the artifact; None for a source."""
        if self.stage is None or self.version is None or self.fingerprint is None:
            return None
        return reference(self.stage, self.version, self.fingerprint)


class Timings(Record):
    """When the last attempt ran, ISO 8601 in UTC; ``resumed`` if an earlier one did part of the work."""

    started: str
    finished: str
    seconds: float
    resumed: bool = False


class Manifest(Record):
    """The description of an artifact.

    ``version`` numbers the artifacts of a stage; ``code_version`` is the version of the stage's code.
    """

    schema_version: Literal[1] = 1
    stage: StageName
    version: int
    code_version: int
    fingerprint: Hex
    digest: Hex
    config: dict[str, Any]
    inputs: dict[str, InputRecord]
    files: dict[FileName, FileRecord]
    metrics: dict[str, Any]
    timings: Timings
    packages: dict[str, str]
    python: str
    platform: str
    git_commit: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Artifact:
    """A finished result on disk."""

    path: Path
    manifest: Manifest

    @property
    def ref(self) -> str:
        """Reference of the artifact, such as ``teacher/v0003-1a2b3c4d5e6f``."""
        return reference(self.manifest.stage, self.manifest.version, self.manifest.fingerprint)

    @property
    def metrics(self) -> dict[str, Any]:
        """Values that its stage recorded."""
        return self.manifest.metrics


class DamagedError(StoreError):
    """An artifact differs from its manifest; ``reason`` says how, in a few words."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"artifact {path.parent.name}/{path.name} is damaged: {reason}; run it again to rebuild it")
        self.path = path
        self.reason = reason


def content_digest(files: dict[str, FileRecord]) -> str:
    """Return a digest of the names, sizes and SHA-256 sums of an artifact's files."""
    return digest_bytes(canonical({name: [record.size, record.sha256] for name, record in files.items()}))


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the manifest as it is written to disk: indented JSON with its seal."""
    values = manifest.model_dump(mode="json")
    sealed = values | {"seal": digest_bytes(canonical(values))}
    return (json.dumps(sealed, indent=2) + "\n").encode()


def load_artifact(path: Path) -> Artifact:
    """Read the artifact at ``path`` from its manifest alone.

    Raises:
        FileNotFoundError: there is no manifest, so there is no artifact.
        DamagedError: the manifest cannot be read, was edited, or belongs elsewhere.
    """
    data = (path / MANIFEST).read_bytes()
    try:
        values = json.loads(data)
        seal = values.pop("seal")
        intact = seal == digest_bytes(canonical(values))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedError(path, f"{MANIFEST} cannot be read") from error
    if not intact:
        raise DamagedError(path, f"{MANIFEST} was edited after it was sealed")
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise DamagedError(path, f"{MANIFEST} is of another kind (see {place})") from error
    if manifest.stage != path.parent.name or folder_name(manifest.version, manifest.fingerprint) != path.name:
        raise DamagedError(path, f"{MANIFEST} belongs to another artifact")
    return Artifact(path, manifest)


def check_files(artifact: Artifact, digest: Callable[[Path], str]) -> None:
    """Check that every file of an artifact is as it was sealed.

    Args:
        artifact: the artifact.
        digest: file -> digest of its content; a cache avoids reading unchanged files again.

    Raises:
        DamagedError: a file is missing, a link, or has another size or content.
    """
    for name, record in artifact.manifest.files.items():
        try:
            problem = file_problem(artifact.path, name, record, digest)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DamagedError(artifact.path, f"{name} is missing") from error
        if problem:
            raise DamagedError(artifact.path, problem)


def file_problem(folder: Path, name: str, record: FileRecord, digest: Callable[[Path], str]) -> str:
    """Return how a file of an artifact differs from its record; "" if it does not.

    Args:
        folder: folder of the artifact.
        name: name of the file.
        record: its size and digest when it was sealed.
        digest: file -> digest of its content.

    Raises:
        OSError: the file cannot be read.
    """
    path, relative = folder / name, PurePosixPath(name)
    if any((folder / step).is_symlink() for step in (relative, *relative.parents[:-1])):
        return f"{name} is a link"
    size = path.stat().st_size
    if size != record.size:
        return f"{name} has {size} bytes instead of {record.size}"
    return "" if digest(path) == record.sha256 else f"{name} has other content (same size)"


def artifact_version(folder: Path) -> int | None:
    """Return the version in an artifact folder's name; None if it is not such a name."""
    match = FOLDER_NAME.fullmatch(folder.name)
    return int(match["version"]) if match else None
