"""Word vectors that were read from a text file once, kept so that the next time they are only mapped.

They lie in the project's own folder of the user, by the file they came from: its path, size, inode and times. What
is no longer wanted may be deleted at any time.
"""

import json
import os
import shutil
import time
import uuid
from pathlib import Path

import numpy as np

from pipeline.augmentation.candidates.glove import load_glove
from pipeline.augmentation.candidates.vectors import WordVectors
from pipeline.store.fingerprint import digest_bytes

FORMAT = 1  # raise it when the same file would give other vectors
WORDS, MATRIX = "words.json", "matrix.npy"
RACY_NS = 2_000_000_000  # a file that changed so lately may change again within the same tick of its clock


def cached_vectors(path: Path, max_words: int | None, folder: Path) -> WordVectors:
    """What ``load_glove`` reads from ``path``, mapped from ``folder`` where it was read before.

    Raises:
        DataError: as ``load_glove``.
    """
    entry = _entry(path, max_words, folder)
    if entry is None:
        return load_glove(path, max_words)
    found = _open(entry)
    if found is None:
        found = load_glove(path, max_words)
        _keep(found, entry)
    return found


def _entry(path: Path, max_words: int | None, folder: Path) -> Path | None:
    """Where the vectors of a file are kept; None for one that is not there, or still changes."""
    try:
        stat = path.stat()
    except OSError:
        return None
    if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) <= RACY_NS:
        return None
    identity = [FORMAT, str(path.absolute()), stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, max_words]
    return folder / digest_bytes(json.dumps(identity).encode())[:32]


def _open(entry: Path) -> WordVectors | None:
    try:
        kept = json.loads((entry / WORDS).read_bytes())
        # Copied when written to, which nobody does: torch takes no array that cannot be.
        matrix = np.load(entry / MATRIX, mmap_mode="c", allow_pickle=False)
        whole = len(matrix) == len(kept["words"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return WordVectors.of_units(kept["words"], matrix, kept["num_zero"]) if whole else None


def _keep(vectors: WordVectors, entry: Path) -> None:
    """Write an entry whole or not at all; a folder that cannot be written just keeps nothing."""
    draft = entry.with_name(f"{entry.name}.{uuid.uuid4().hex}.draft")
    try:
        draft.mkdir(parents=True)
        np.save(draft / MATRIX, vectors.matrix, allow_pickle=False)
        (draft / WORDS).write_text(json.dumps({"num_zero": vectors.num_zero, "words": vectors.words}), "utf-8")
        if entry.exists():  # a spoiled one
            shutil.rmtree(entry, ignore_errors=True)
        os.rename(draft, entry)  # noqa: PTH104 - a folder
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
