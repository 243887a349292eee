"""Protected parts of a text, which augmentation never changes: a user's words and patterns, negations, markers.

Function words are never replaced either. ``STOP_WORDS`` is the list of the paper's released code: with it an English
sentence keeps ``not``, ``no`` and ``very``, and so most of its label. It lacks ``never`` and others that reverse a
label as well; these are in ``NEGATIONS``, and are neither removed nor added (``really good`` does not become ``not
good``). The pieces that punctuation splitting leaves of contractions (``don``, ``t``, ``ll``) are stop-words; those of
a treebank (``does n't`` leaves ``n``) stay because negations are found in the text before it is split.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping

from pipeline.augmentation.words.script_and_case import is_han
from pipeline.config.augmenters import MARKERS
from pipeline.config.words import Language, WordsConfig

MARKER = re.compile(MARKERS)  # [MASK], <mask>

STOP_WORDS = frozenset(
    """
    a about above after again against ain all am an and any are aren as at
    be because been before being below between both but by
    can couldn d did didn do does doesn doing don down during each
    few for from further had hadn has hasn have haven having he her here hers herself him himself his how
    i if in into is isn it its itself just ll m ma me mightn more most mustn my myself
    needn no nor not now o of off on once only or other our ours ourselves out over own
    re s same shan she should shouldn so some such
    t than that the their theirs them themselves then there these they this those through to too
    under until up ve very
    was wasn we were weren what when where which while who whom why will with won wouldn
    y you your yours yourself yourselves
    """.split()  # noqa: SIM905 - a paragraph reads better than a list
)

_CHINESE = frozenset(
    """
    的 了 着 过 地 得 是 在 有 和 与 及 或 而 但 但是 因为 所以 如果 虽然
    也 都 就 还 又 再 才 只 很 太 更 最 非常
    我 你 您 他 她 它 我们 你们 他们 她们 它们 自己 这 那 这个 那个 这些 那些 这里 那里 什么 怎么 哪 谁 几 多少
    一 个 把 被 给 对 从 到 向 为 以 于 由 让 比 跟 等 吗 呢 吧 啊 呀 哦 嘛 之 其 此 该 上 下 里 中
    個 過 與 為 這 還 對 從 給 讓 嗎 裡 們
    """.split()  # noqa: SIM905
)

BY_LANGUAGE: Mapping[Language, frozenset[str]] = {"english": STOP_WORDS, "chinese": _CHINESE, "other": frozenset()}

NEGATIONS: Mapping[Language, re.Pattern[str] | None] = {
    "english": re.compile(
        r"(?<!\w)(?:no|not|nor|never|none|nobody|nothing|nowhere|neither|without|cannot"
        r"|hardly|scarcely|barely|seldom|rarely|\w*n['\u2019]t)(?!['\u2019]?\w)",
        re.IGNORECASE,
    ),
    "chinese": re.compile(  # also within a word: 不错 is not bad, 不好 is not good
        "[不没沒无無未勿莫毋]|[并並绝絕决決]非|(?<![特区個个差分类類性告级級])[别別](?![的墅人处處])"
    ),
    "other": None,
}


class Protection:
    """Finds the protected parts of a text.

    Args:
        words: protected words and patterns, and the language of the negations.
    """

    def __init__(self, words: WordsConfig) -> None:
        self._words = words
        phrases = [re.compile(_bounded(phrase), re.IGNORECASE) for phrase in words.protect]
        self._patterns = [*phrases, *map(re.compile, words.protect_patterns)]
        self._negation = NEGATIONS[words.language] if words.negations else None

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) of each match of a user's words and patterns in the text as it was written."""
        return [match.span() for pattern in self._patterns for match in pattern.finditer(text)]

    def of(self, text: str) -> "Protection":
        """Return the protection of this text's matches, which holds even if its case and accents are changed."""
        if not self._patterns:
            return self
        matches = {text[start:end].strip() for start, end in self.spans(text)}
        phrases = sorted(filter(None, matches | set(map(_unaccented, matches))))
        return Protection(self._words.model_copy(update={"protect": tuple(phrases), "protect_patterns": ()}))

    def negates(self, word: str) -> bool:
        """Return whether a word is or contains a negation."""
        return self._negation is not None and self._negation.search(word) is not None

    def all_spans(self, text: str) -> list[tuple[int, int]]:
        """Return ``spans`` and those of the markers and negations."""
        others = [match.span() for matches in (MARKER.finditer(text), self._negation_in(text)) for match in matches]
        return self.spans(text) + others

    def kept(self, before: str, after: str) -> bool:
        """Return whether two texts have the same protected parts and markers, in the same order."""
        return self._found(before) == self._found(after)

    def _found(self, text: str) -> list[list[str]]:
        matches = [[match.group().casefold() for match in pattern.finditer(text)] for pattern in self._patterns]
        return [*matches, [match.group().casefold() for match in self._negation_in(text)], MARKER.findall(text)]

    def _negation_in(self, text: str) -> Iterator[re.Match[str]]:
        return self._negation.finditer(text) if self._negation else iter(())


def touches(span: tuple[int, int], spans: list[tuple[int, int]]) -> bool:
    """Return whether a span overlaps any of the others."""
    return any(span[0] < end and start < span[1] for start, end in spans)


def _unaccented(phrase: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFD", phrase) if unicodedata.category(part) != "Mn")


def _bounded(phrase: str) -> str:
    """Return a pattern for a phrase as whole words: 'art' is not in 'start', but 北京 is in 我爱北京."""
    words = r"\s+".join(map(re.escape, phrase.split()))
    first, last = phrase.strip()[0], phrase.strip()[-1]
    before = "" if is_han(first) or not first.isalnum() else r"(?<!\w)"
    after = "" if is_han(last) or not last.isalnum() else r"(?!['\u2019]?\w)"
    return before + words + after
