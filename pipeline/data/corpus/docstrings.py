"""English prose from the docstrings of installed packages: text that every machine has.

A package's text is read from its source files without importing it: triple-quoted strings that begin a line, cut into
paragraphs, without markup, and kept if they read like sentences. It depends only on the installed versions, which
``packages_identity`` names.

A paragraph of prose is a run of lines in a docstring that reads like a sentence: eight words or more, most of them
plain lower-case words, and a full stop or a colon at its end. Without that end, as in many descriptions of parameters,
nearly all words have to be plain.
"""

import importlib.metadata
import importlib.util
import os
import platform
import re
import sysconfig
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

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

MIN_WORDS = 8
MAX_WORDS = 120
MIN_PLAIN_SHARE = 0.65
"""Share of the words that must be plain lower-case words; code and tables stay below it."""
MIN_PLAIN_SHARE_WITHOUT_END = 0.85
"""The same for a paragraph without a full stop; headings and code stay below it."""

_TRIPLE_QUOTED = re.compile(r'("""|\'\'\')(.*?)\1', re.DOTALL)
_DOCSTRING_PREFIXES = frozenset({"", "r", "u"})
_UNDERLINE = re.compile(r"([-=~^*#+`\"'.])\1{2,}\s*$")
_PARAMETER = re.compile(r"[*\w, .`]+\s:\s|[*\w]+\s*:$|@\w+")
_ITEM = re.compile(
    r"[-*+•]\s+"  # bullets
    r"|\(?\d{1,2}[.)]\s+"  # numbers
    r"|:\w+(?:\s[^:]*)?:\s+"  # :param x:
    r"|`{0,2}\*{0,2}\w+`{0,2}(?:\s\([^)]*\))?:\s+"  # name (type):
    r"|\.\.\s[^:]*::\s*(?:[\d.]+\s+)?"  # directives; their text stays
    r"|\.\.\s\[?[\w#*-]+\]?\s+"  # footnotes
)
_ROLE = re.compile(r":[a-zA-Z][\w:+-]*:`([^`]*)`")
_LINK_TARGET = re.compile(r"\s*<[^<>]*>$")
_LITERAL = re.compile(r"``([^`]+)``|`([^`]+)`_{0,2}")
_FOOTNOTE = re.compile(r"\s*\[[#*\w]+\]_")
_EMPHASIS = re.compile(r"(?<![\w*])\*{1,2}([^\s*](?:[^*]*[^\s*])?)\*{1,2}(?![\w*])")
_NOT_PROSE = re.compile(r"[\\{}|$]|>>>|\.\.\.\s|::|https?:|%\(")
_SENTENCE_END = re.compile(r"[.!?:][\"')\]]?$")
_PLAIN_WORD = re.compile(r"[(\"']?[a-z]+(?:['-][a-z]+)*[.,;:!?)\"']*$")


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


def prose_paragraphs(source: str) -> Iterator[str]:
    """Yield the paragraphs of prose in the docstrings of a Python source text, in order."""
    for docstring in _docstrings(source):
        for lines in _passages(docstring):
            text = _plain(" ".join(lines))
            if is_prose(text):
                yield text


def is_prose(text: str) -> bool:
    """Return whether a paragraph without markup reads like English sentences."""
    words = text.split()
    if not MIN_WORDS <= len(words) <= MAX_WORDS or _NOT_PROSE.search(text):
        return False
    share = MIN_PLAIN_SHARE if _SENTENCE_END.search(text) else MIN_PLAIN_SHARE_WITHOUT_END
    return sum(map(bool, map(_PLAIN_WORD.match, words))) >= share * len(words)


def _docstrings(source: str) -> Iterator[str]:
    # Matching every triple-quoted string, not only docstrings, keeps opening and closing quotes apart.
    for match in _TRIPLE_QUOTED.finditer(source):
        before = source[source.rfind("\n", 0, match.start()) + 1 : match.start()]
        if before.strip().lower() in _DOCSTRING_PREFIXES:
            yield match[2]


def _passages(docstring: str) -> Iterator[list[str]]:
    """Yield runs of lines that belong together: they end at blank lines, headings, items and changes of indent."""
    passage: list[str] = []
    indent, hanging = 0, False
    for raw in docstring.expandtabs().split("\n"):
        line = raw.lstrip()
        step = len(raw) - len(line) - indent
        indent += step
        line = line.rstrip()
        if not line or _PARAMETER.match(line):
            yield passage
            passage = []
        elif _UNDERLINE.match(line):  # the line before it was a heading
            yield passage[:-1]
            passage = []
        elif item := _ITEM.match(line):
            yield passage
            passage, hanging = [line[item.end() :]], True
        elif not passage:
            passage, hanging = [line], False
        elif step < 0:
            yield passage
            passage, hanging = [line], False
        elif step > 0 and len(passage) == 1 and not hanging:  # a term, or a type, and what it means
            passage = [line]
        else:
            passage.append(line)
    yield passage


def _plain(text: str) -> str:
    """Return the text without reStructuredText and Markdown marks."""
    if "`" in text:
        text = _ROLE.sub(_role_title, text)
        text = _LITERAL.sub(lambda match: match[1] or _LINK_TARGET.sub("", match[2]), text)
    if "*" in text:
        text = _EMPHASIS.sub(r"\1", text)
    if "]_" in text:
        text = _FOOTNOTE.sub("", text)
    text = " ".join(text.split())
    return text[:-1] if text.endswith("::") else text  # a block of code followed


def _role_title(match: re.Match[str]) -> str:
    title = _LINK_TARGET.sub("", match[1])
    return title.rpartition(".")[2] if title.startswith("~") else title.lstrip(".!_")
