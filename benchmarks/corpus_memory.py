"""Peak memory of the corpus stage on 30, 100 and 300 MB of text: it must not grow with the corpus.

    python benchmarks/corpus_memory.py

Text is the docstrings of installed packages with numbered words, so that no paragraph repeats. Each size
runs in a process of its own; printed are its peak resident memory, and the share of it that is anonymous,
that is, not pages of files the kernel may drop at any time.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.data.corpus.docstrings import docstring_corpus
from pipeline.progress import Silent

SIZES_MB = (30, 100, 300)


class Anonymous(Silent):
    """Follows the anonymous memory of this process."""

    peak_kb = 0

    def update(self, done, total, **fields) -> None:  # noqa: ANN001, ANN003, ARG002
        """Note the memory now."""
        status = Path("/proc/self/status").read_text()
        now = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))
        self.peak_kb = max(self.peak_kb, now)


def write_text(path: Path, size: int) -> None:
    """Docstrings over and over, numbered, until ``size`` bytes."""
    documents = list(docstring_corpus(["numpy", "networkx"]))
    number = 0
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            number += 1
            for document in documents:
                file.writelines(f"{number} {paragraph}\n" for paragraph in document)
                file.write("\n")


def measure(text: str, tokenizer: str) -> None:
    """Build one corpus and print its figures."""
    import resource

    from pipeline.data.corpus.files import build_corpus
    from pipeline.data.corpus.text import documents
    from pipeline.data.tokens.tokenizer import load_tokenizer

    progress, started = Anonymous(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = build_corpus(
            documents([text]), load_tokenizer(tokenizer), Path(folder), max_length=128, progress=progress
        )
    figures = {
        "tokens": found["tokens"],
        "seconds": round(time.perf_counter() - started, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "anonymous_mb": progress.peak_kb // 1024,
    }
    print(json.dumps(figures))


def main() -> None:
    tokenizer = "data/demo-teacher"
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES_MB:
            path = Path(folder) / f"{size}.txt"
            write_text(path, size * 1_000_000)
            done = subprocess.run(
                [sys.executable, __file__, str(path), tokenizer], check=True, capture_output=True, text=True
            )
            print(f"{size} MB: {done.stdout.strip()}", flush=True)
            path.unlink()


if __name__ == "__main__":
    measure(*sys.argv[1:]) if len(sys.argv) > 1 else main()
