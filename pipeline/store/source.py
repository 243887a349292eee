"""A source is an input from outside the store, identified by the content of its files or by a name.

A name on a hub is identified by its commit. Moving a corpus changes nothing; editing one byte of it does.
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
        paths: files or folders; their order matters.
        identity: if given, only this is digested ("hub:bert-base-uncased@main", package versions).
        only: patterns; of a folder, only files whose relative name matches one are used. Empty uses all.
        never: patterns; of a folder, files whose relative name matches one are left out.
        hub: a name on a hub; ``paths`` are then the name and its revision, and ``identity`` ends with ``@revision``.
    """

    paths: tuple[str, ...] = ()
    identity: str = ""
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    hub: HubName | None = None

    def counts(self, name: str) -> bool:
        """Return whether a file of a folder is part of the content.

        Args:
            name: its path relative to the folder, with forward slashes.
        """
        return (not self.only or _matches(name, self.only)) and not _matches(name, self.never)


def pinned(source: Source) -> Source:
    """Return the source with a name on a hub replaced by its commit, if that is known; others unchanged."""
    if source.hub is None or (commit := pin(source.hub).commit) is None:
        return source
    identity = source.identity.removesuffix(f"@{source.hub.revision}")
    return Source(paths=(source.hub.name, commit), identity=f"{identity}@{commit}")


def unpinned_note(source: Source) -> str:
    """Return the warning for a name on a hub that could not be reached; "" otherwise."""
    return "" if source.hub is None else pin(source.hub).note


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def source_digest(source: Source, digest: Callable[[Path], str] = digest_file) -> str:
    """Digest a source: its identity if it has one, else the content of its files.

    The location of the files is not part of the digest. For a folder the relative names are; for a file named directly
    only its suffixes are, because they decide how it is read.

    Args:
        source: the source.
        digest: file -> digest of its content; a ``DigestCache`` avoids reading unchanged files again.

    Raises:
        DataError: a path is missing, unreadable, or neither file nor folder.
    """
    source = pinned(source)
    if source.identity:
        return digest_bytes(canonical({"identity": source.identity}))
    return digest_bytes(canonical({"paths": [_content(Path(path), digest, source) for path in source.paths]}))


def _content(path: Path, digest: Callable[[Path], str], source: Source) -> dict[str, object]:
    """Return the part of a source's digest that one of its paths contributes."""
    try:
        if path.is_dir():
            names = sorted(filter(source.counts, _files_in(path)))
            return {"folder": [[name, digest(_regular(path / name))] for name in names]}
        return {"file": "".join(path.suffixes[-SUFFIXES_THAT_COUNT:]), "sha256": digest(_regular(path))}
    except OSError as error:
        raise DataError(f"cannot read {error.filename or path}: {error.strerror}; check the path") from error


def _regular(path: Path) -> Path:
    """Return ``path`` if it is a regular file, else raise ``DataError``."""
    if path.is_file():
        return path
    if path.exists():
        raise DataError(f"{path} is neither a file nor a folder: name one of these")
    raise DataError(f"{path} does not exist: check the path (relative ones start in {Path.cwd()})")


def _files_in(folder: Path) -> Iterator[str]:
    """Yield the relative names of all files under a folder, with forward slashes; hidden ones are skipped."""
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
    """Raise the error of an unreadable folder, which ``os.walk`` would otherwise skip silently."""
    raise error
