"""Which parts of a source file are English prose.

A paragraph of prose is a run of lines in a docstring, without markup, that reads like a sentence: eight
words or more, most of them plain lower-case words, and a full stop or a colon at its end. Where that is
missing, as many descriptions of parameters leave it out, nearly all words have to be plain.
"""

import re
from collections.abc import Iterator

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
    r"|\.\.\s[^:]*::\s*(?:[\d.]+\s+)?"  # directives; what they say stays
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


def prose_paragraphs(source: str) -> Iterator[str]:
    """The paragraphs of prose in the docstrings of a Python source text, in order."""
    for docstring in _docstrings(source):
        for lines in _passages(docstring):
            text = _plain(" ".join(lines))
            if is_prose(text):
                yield text


def is_prose(text: str) -> bool:
    """Whether a paragraph without markup reads like English sentences."""
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
    """Runs of lines that belong together: ended by blank lines, headings, items and changes of indent."""
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
    """The text without reStructuredText and Markdown marks."""
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
