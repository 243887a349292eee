"""Write the references anew, after a change that was meant to move them: ``python -m tests.golden.record [NAME ...]``.

Says what moved; look at it before you commit.
"""

import sys
import tempfile
from pathlib import Path

from tests.golden.golden_run import (
    REFERENCES,
    RUNS,
    differences,
    ingredients,
    observed,
    read_reference,
    write_reference,
)


def record(name: str, folder: Path) -> None:
    """Run one of the runs in an empty folder and keep what it learned."""
    run = RUNS[name](folder)
    found = observed(run)
    if (REFERENCES / f"{name}.json").is_file():
        comparison, lines = differences(read_reference(name), found)
        print(f"{name} ({comparison}): {len(lines)} differences", *lines[:20], sep="\n  ")  # noqa: T201
    print(write_reference(name, found))  # noqa: T201
    if name == "one_process":
        print(write_reference("ingredients", ingredients(run)))  # noqa: T201


def main() -> None:
    names = sys.argv[1:] or list(RUNS)
    unknown = [name for name in names if name not in RUNS]
    if unknown:
        sys.exit(f"there is no run {unknown[0]!r}: choose of {', '.join(RUNS)}")
    for name in names:
        with tempfile.TemporaryDirectory(prefix="golden-") as folder:
            record(name, Path(folder))


if __name__ == "__main__":
    main()
