"""The augmenters a user lists, one after the other: nlpaug's Sequential of Sometimes, seeded for each variant.

The first one may be ``tinybert``, whose candidates are those of the row as it is; what it drew goes
through the others. A variant depends on the seed, its row, its column and its number only, and leaves
the process's random state as it was.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import nlpaug.augmenter.char as nac
import numpy as np

from pipeline.augmentation.augmenters import nlpaug_fixes as fixed
from pipeline.augmentation.augmenters.seeded import SeededAug, seeded, unwrapped
from pipeline.augmentation.augmenters.tang2019 import MaskAug, NgramAug, SamePosAug
from pipeline.augmentation.augmenters.tinybert import CandidateSource, TinyBertAug
from pipeline.augmentation.candidates.table import Candidates
from pipeline.augmentation.variants.draw import Drawn, distinct
from pipeline.augmentation.variants.row_statistics import Statistics
from pipeline.augmentation.words.protection import MARKER, Protection
from pipeline.augmentation.words.spans import Pieces
from pipeline.config.augmentation import AugmentationConfig
from pipeline.config.augmenters import AUGMENTERS, HOLE, OWN, Child, children
from pipeline.config.words import WordsConfig
from pipeline.errors import ConfigError

ATTEMPTS = 3  # at a change that touches nothing protected
SAMPLE = "The quick brown fox jumps over the lazy dog."
STOCK: Mapping[str, Any] = {
    "keyboard": nac.KeyboardAug,
    "ocr": nac.OcrAug,
    "random_char": nac.RandomCharAug,
    "random_word": fixed.RandomWordAug,
    "split": fixed.SplitAug,
    "spelling": fixed.SpellingAug,
    "reserved": fixed.ReservedAug,
    "tfidf": fixed.TfIdfAug,
}


class Step(NamedTuple):
    """An augmenter, and the share of the variants it is applied to."""

    name: str
    augmenter: Any
    rows: float


class Flow:
    """Draws variants of texts through all the steps.

    Attributes:
        counts: ``failed_draws``: texts that an augmenter failed on, which passed as they were;
            ``protected_draws``: changes given up because they touched what is protected, or a marker.
    """

    def __init__(self, first: TinyBertAug | None, first_rows: float, steps: list[Step], words: WordsConfig) -> None:
        self._first = first
        self._first_rows = first_rows
        self._steps = steps
        self._protection = Protection(words)
        self._pieces = Pieces(words)
        self.counts: Counter[str] = Counter()

    def prime(self, texts: Iterable[str]) -> dict[str, Candidates]:
        """Have the candidates of texts to come computed together; all that are known."""
        return self._first.prime(texts) if self._first else {}

    def num_words(self, text: str) -> int:
        """How many words of a text may change: those with candidates where nothing but tinybert is listed, else all."""
        if self._first and not self._steps:
            return len(self._first.candidates_of(text).words)
        return max(1, len(self._pieces.cut(text)))

    def draws(self, text: str, count: int, generator: np.random.Generator) -> Iterator[Drawn]:
        """Up to ``count`` distinct variants of a text, with the generator's randomness alone."""
        if self._first and self._first_rows == 1 and not self._steps:
            return self._first.draws(text, count, generator)
        return distinct(text, self._through(text, count, generator))

    def _through(self, text: str, count: int, generator: np.random.Generator) -> Iterator[Drawn]:
        kept = self._protection.of(text)  # an uncased tinybert hands on what no pattern with capitals matches
        for step in self._steps:
            if step.name not in STOCK:
                step.augmenter.word_spans.protection = kept
        start: Any = generator.bit_generator.jumped(1)  # type: ignore[attr-defined]  # those of numpy's own have it
        drawn: Iterable[Drawn] = (Drawn(number, 0, text) for number in range(1, count + 1))
        written, most = text, self.num_words(text)
        if self._first:
            drawn = self._first.draws_all(text, count, generator)
            written = self._first.candidates_of(text).sentence.text()  # what tinybert writes is normalised
        for made in drawn:
            own = np.random.Generator(start.jumped(made.number))  # a stream of its own: the count does not matter
            coins = own.random(1 + len(self._steps))
            first, changed = (made.text, made.num_changed) if coins[0] < self._first_rows else (text, 0)
            result = first
            for step, coin in zip(self._steps, coins[1:], strict=True):
                if coin < step.rows:
                    result = self._apply(step, result, own, kept)
            if result != first:  # a word that two augmenters changed is one word
                changed = self._lost(written if changed else text, result)
            yield Drawn(made.number, min(most, changed), result)

    def _apply(self, step: Step, text: str, generator: np.random.Generator, protection: Protection) -> str:
        for _ in range(ATTEMPTS):
            try:
                made = once(step.augmenter, text, generator)
            except Exception:  # noqa: BLE001 - whatever a foreign augmenter trips over, it is one row of millions
                self.counts["failed_draws"] += 1
                return text
            if step.name not in STOCK:
                return made
            if made.split() == text.split():  # only spaces differ
                return text
            if protection.kept(text, made):
                return made
        self.counts["protected_draws"] += 1
        return text

    def _lost(self, before: str, after: str) -> int:
        """The words of a text that another one no longer holds, in any case; one at least where they differ at all."""
        if before == after:
            return 0
        left, found = (Counter(map(str.casefold, self._pieces.cut(text))) for text in (before, after))
        return max(1, (left - found).total())


def make_flow(
    config: AugmentationConfig, candidates: CandidateSource | None, statistics: Statistics | None = None
) -> Flow:
    """The flow of a configuration.

    Args:
        config: Lists the augmenters.
        candidates: Where those of ``tinybert`` come from; None where it is not listed.
        statistics: See ``count_statistics``.

    Raises:
        ConfigError: an augmenter cannot be made, or fails on a plain sentence; says which and why.
    """
    listed = list(children(config.augmenters))
    first, rows = None, 1.0
    if listed[0].name == "tinybert":
        if candidates is None:
            raise ConfigError("augmenter tinybert has no candidates: build them first")
        head = listed.pop(0)
        first = TinyBertAug(candidates, probability=head.options.get("probability", config.probability))
        rows = head.rows
    steps = [Step(child.name, _made(child, config, statistics or Statistics()), child.rows) for child in listed]
    return Flow(first, rows, steps, config.words)


def once(augmenter: Any, text: str, generator: np.random.Generator) -> str:
    """What an augmenter makes of a text once, by a generator's randomness; the text where it makes nothing."""
    if isinstance(augmenter, SeededAug):
        return augmenter.change(text, generator)
    with seeded(int(generator.integers(2**32))):
        return unwrapped(augmenter.augment(text)) or text


def _made(child: Child, config: AugmentationConfig, statistics: Statistics) -> Any:
    own: Mapping[str, Any] = {
        "mask": lambda **options: MaskAug(config.words, **_meant(options)),
        "same_pos": lambda **options: SamePosAug(statistics.tags, config.words, **options),
        "ngram": lambda **options: NgramAug(config.words, **options),
        "tfidf": lambda **options: fixed.TfIdfAug(statistics.idf, statistics.weight, **options),
    }
    try:
        options = child.options if child.name in OWN else {**child.options, **_plumbing(child, config.words)}
        augmenter = {**STOCK, **own}[child.name](**options)
        once(augmenter, SAMPLE, np.random.default_rng(0))
    except ConfigError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError(f"augmenter {child.name} with {dict(child.options)} does not work: {reason}") from error
    return augmenter


def _meant(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of ``mask``: its holes are told from the same marker in a user's text."""
    token = options.get("token", MaskAug.TOKEN)
    return {**options, "token": HOLE + token if MARKER.fullmatch(token) else token}


def _plumbing(child: Child, words: WordsConfig) -> dict[str, Any]:
    """What nlpaug's own is told beside a user's options: how to cut a text, and to leave markers alone."""
    pieces = Pieces(words)
    plumbing: dict[str, Any] = {"tokenizer": pieces.cut, "reverse_tokenizer": pieces.join}
    if "stopwords_regex" in AUGMENTERS[child.name]:
        asked = child.options.get("stopwords_regex")
        plumbing["stopwords_regex"] = "|".join([*([asked] if asked else []), f".*(?:{MARKER.pattern})"])
    return plumbing
