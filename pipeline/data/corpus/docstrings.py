"""English prose from the docstrings of installed packages: text that every machine has.

A package's text is read from its source files without importing it: triple-quoted strings that begin a line, cut into
paragraphs, without markup, and kept if they read like sentences. It depends only on the installed versions, which
``packages_identity`` names.
"""

import importlib.metadata
import importlib.util
import os
import platform
import sysconfig
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from pipeline.data.corpus.prose import prose_paragraphs
from pipeline.errors import DataError

PACKAGES: tuple[str, ...] = ("stdlib", "numpy", "pandas", "sklearn", "sympy", "networkx", "sqlalchemy", "prefect")
"""The labelled task's libraries: packages that every installation of this project has."""

DISTRIBUTIONS = {"sklearn": "scikit-learn"}
SKIPPED_FOLDERS = frozenset(
    {
        *("__pycache__", "site-packages", "dist-packages", "test", "tests", "testing"),
        *("idlelib", "lib2to3", "ensurepip", "turtledemo", "pydoc_data"),
        *("vendor", "_vendor", "vendored", "externals", "extern", "_vendored"),
    }
)


class Paragraph(NamedTuple):
    """One paragraph of prose and where it was found; ``file`` is relative to the package's folder."""

    package: str
    file: str
    text: str


def packages_identity(packages: Sequence[str]) -> str:
    """Return the names and versions of packages, such as ``numpy 2.4.6, stdlib 3.11.7``.

    Raises:
        DataError: a package is not installed.
    """
    return ", ".join(f"{name} {_version(name)}" for name in packages)


def paragraphs(package: str) -> Iterator[Paragraph]:
    """Yield the paragraphs of prose in a package, files in sorted order, each text once.

    Args:
        package: an importable top-level name, or ``stdlib``.

    Raises:
        DataError: the package is not installed, or is not a folder of source files.
    """
    root = package_dir(package)
    seen: set[str] = set()
    for path in _source_files(root):
        try:
            source = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # the standard library keeps a few files in older encodings
            continue
        file = path.relative_to(root).as_posix()
        for text in prose_paragraphs(source):
            if text not in seen:
                seen.add(text)
                yield Paragraph(package, file, text)


def docstring_corpus(packages: Sequence[str] = PACKAGES) -> Iterator[list[str]]:
    """Yield one document, a list of paragraphs, for each source file of the packages."""
    for package in packages:
        for _, of_file in groupby(paragraphs(package), key=lambda paragraph: paragraph.file):
            yield [paragraph.text for paragraph in of_file]


def _version(package: str) -> str:
    if package == "stdlib":
        return platform.python_version()
    try:
        return importlib.metadata.version(DISTRIBUTIONS.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        raise _not_installed(package) from None


def package_dir(package: str) -> Path:
    """Return the folder of an installed package's source files.

    Raises:
        DataError: it is not installed, is a submodule, or is no folder.
    """
    if package == "stdlib":
        return Path(sysconfig.get_path("stdlib"))
    if "." in package:  # find_spec would import the parent
        raise DataError(f"{package!r} is a submodule: name the top-level package {package.partition('.')[0]!r}")
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise _not_installed(package)
    if not spec.submodule_search_locations:
        raise DataError(f"package {package!r} is not a folder of source files: choose a package with modules")
    return Path(next(iter(spec.submodule_search_locations)))


def _not_installed(package: str) -> DataError:
    return DataError(f"package {package!r} is not installed: pip install {DISTRIBUTIONS.get(package, package)}")


def _source_files(root: Path) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if name not in SKIPPED_FOLDERS)
        yield from (Path(folder, file) for file in sorted(files) if file.endswith(".py"))
