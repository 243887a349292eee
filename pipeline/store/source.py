"""A source is an input from outside the store: files known by their content, or a name that is enough.

A name on a hub is known by the commit that it stands for.

Moving a corpus changes nothing; editing one byte of it does.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.errors import DataError
from pipeline.store.fingerprint import canonical, digest_bytes, digest_file
from pipeline.store.hub import HubName, pin

SUFFIXES_THAT_COUNT = 2  # .jsonl.gz


@dataclass(frozen=True)
class Source:
    """Files and folders from outside the store, or an ``identity`` that stands for their content.

    Args:
        paths: files or folders, in an order that matters.
        identity: when given, it alone is digested ("hub:bert-base-uncased@main", package versions).
        only: patterns; of a folder the files alone that match one, by their names relative to it. All when empty.
        never: patterns; of a folder no file that matches one.
        hub: a name on a hub; ``paths`` are then the name and its revision, and ``identity`` ends with ``@revision``.
    """

    paths: tuple[str, ...] = ()
    identity: str = ""
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    hub: HubName | None = None

    def counts(self, name: str) -> bool:
        """Whether a file of a folder is part of the content."""
        return (not self.only or _matches(name, self.only)) and not _matches(name, self.never)


def pinned(source: Source) -> Source:
    """A source as it is today: a name on a hub at the commit it stands for, if anybody knows it."""
    if source.hub is None or (commit := pin(source.hub).commit) is None:
        return source
    identity = source.identity.removesuffix(f"@{source.hub.revision}")
    return Source(paths=(source.hub.name, commit), identity=f"{identity}@{commit}")


def unpinned_note(source: Source) -> str:
    """What a user should know about a name on a hub that could not be asked; empty otherwise."""
    return "" if source.hub is None else pin(source.hub).note


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def source_digest(source: Source, digest: Callable[[Path], str] = digest_file) -> str:
    """Digest of a source: of its identity if it has one, else of its files' content.

    Where the files lie is not part of it. Inside a folder relative names are; of a file named
    directly only the suffixes are, because they say how it is read.

    Args:
        source: what to digest.
        digest: content digest of one file; a ``DigestCache`` spares reading it again.

    Raises:
        DataError: a path is missing, unreadable, or neither file nor folder.
    """
    source = pinned(source)
    if source.identity:
        return digest_bytes(canonical({"identity": source.identity}))
    return digest_bytes(canonical({"paths": [_content(Path(path), digest, source) for path in source.paths]}))


def _content(path: Path, digest: Callable[[Path], str], source: Source) -> dict[str, object]:
    """What one path of a source contributes to its digest."""
    try:
        if path.is_dir():
            names = sorted(filter(source.counts, _files_in(path)))
            return {"folder": [[name, digest(_regular(path / name))] for name in names]}
        return {"file": "".join(path.suffixes[-SUFFIXES_THAT_COUNT:]), "sha256": digest(_regular(path))}
    except OSError as error:
        raise DataError(f"cannot read {error.filename or path}: {error.strerror}; check the path") from error


def _regular(path: Path) -> Path:
    """``path`` itself, if it is a file that can be read to its end."""
    if path.is_file():
        return path
    if path.exists():
        raise DataError(f"{path} is neither a file nor a folder: name one of these")
    raise DataError(f"{path} does not exist: check the path (relative ones start in {Path.cwd()})")


def _files_in(folder: Path) -> Iterator[str]:
    """Names of the files under ``folder``, relative, with forward slashes; hidden ones are skipped."""
    entered = {folder.resolve()}
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_raise):
        kept = []
        for name in folders:
            target = (Path(parent) / name).resolve()
            if not name.startswith(".") and target not in entered:  # a link may lead back up
                entered.add(target)
                kept.append(name)
        folders[:] = sorted(kept)
        for name in files:
            if not name.startswith("."):
                yield (Path(parent) / name).relative_to(folder).as_posix()


def _raise(error: OSError) -> None:
    """Let an unreadable folder be an error; ``os.walk`` would skip it in silence."""
    raise error
