"""The augmenters of a configuration, one after the other: nlpaug's Sequential of Sometimes, seeded for each variant.

The first one may be ``tinybert``, whose candidates are those of the unchanged row; its draws pass through the others.
A variant depends only on the seed, its row, its column and its number, and the random state of the process is restored.
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

ATTEMPTS = 3  # to draw a change that keeps every protected part
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
    """An augmenter, and the share of the variants to which it is applied."""

    name: str
    augmenter: Any
    rows: float


class Flow:
    """Draws variants of texts through all the steps.

    Args:
        first: TinyBERT's augmenter; None if it is not listed.
        first_rows: share of the variants to which it is applied.
        steps: the other augmenters.
        words: how text is split into words, and which of them are never replaced.

    Attributes:
        counts: ``failed_draws``: texts left unchanged because an augmenter raised an error;
            ``protected_draws``: texts left unchanged because every attempt changed a protected part or a marker.
    """

    def __init__(self, first: TinyBertAug | None, first_rows: float, steps: list[Step], words: WordsConfig) -> None:
        self._first = first
        self._first_rows = first_rows
        self._steps = steps
        self._protection = Protection(words)
        self._pieces = Pieces(words)
        self.counts: Counter[str] = Counter()

    def prime(self, texts: Iterable[str]) -> dict[str, Candidates]:
        """Compute the candidates of the next texts together; return all that are known."""
        return self._first.prime(texts) if self._first else {}

    def num_words(self, text: str) -> int:
        """Return how many words of a text may change: those with candidates if only tinybert is listed, else all."""
        if self._first and not self._steps:
            return len(self._first.candidates_of(text).words)
        return max(1, len(self._pieces.cut(text)))

    def draws(self, text: str, count: int, generator: np.random.Generator) -> Iterator[Drawn]:
        """Yield up to ``count`` distinct variants of a text, by the generator's randomness alone."""
        if self._first and self._first_rows == 1 and not self._steps:
            return self._first.draws(text, count, generator)
        return distinct(text, self._through(text, count, generator))

    def _through(self, text: str, count: int, generator: np.random.Generator) -> Iterator[Drawn]:
        kept = self._protection.of(text)  # an uncased tinybert would lower-case what a pattern with capitals matches
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
            if result != first:  # a word that two augmenters changed counts once
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
        """Count the words of ``before`` that are not in ``after``, ignoring case; at least 1 if the texts differ."""
        if before == after:
            return 0
        old, new = (Counter(map(str.casefold, self._pieces.cut(text))) for text in (before, after))
        return max(1, (old - new).total())


def make_flow(
    config: AugmentationConfig, candidates: CandidateSource | None, statistics: Statistics | None = None
) -> Flow:
    """Build the flow of a configuration.

    Args:
        config: its augmenters.
        candidates: source of the candidates of ``tinybert``; None if it is not listed.
        statistics: statistics of all rows, see ``count_statistics``; None if no augmenter needs them.

    Raises:
        ConfigError: an augmenter cannot be built, or fails on a plain sentence; says which and why.
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
    """Return the text changed once by an augmenter, with a generator's randomness; the text itself without a change."""
    if isinstance(augmenter, SeededAug):
        return augmenter.change(text, generator)
    with seeded(int(generator.integers(2**32))):
        return unwrapped(augmenter.augment(text)) or text


def _made(child: Child, config: AugmentationConfig, statistics: Statistics) -> Any:
    own: Mapping[str, Any] = {
        "mask": lambda **options: MaskAug(config.words, **_with_marked_holes(options)),
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


def _with_marked_holes(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of ``mask``, with holes that differ from the same token in a user's text."""
    token = options.get("token", MaskAug.TOKEN)
    return {**options, "token": HOLE + token if MARKER.fullmatch(token) else token}


def _plumbing(child: Child, words: WordsConfig) -> dict[str, Any]:
    """Return the options for nlpaug's augmenters beside the user's: how to cut a text, and to keep markers."""
    pieces = Pieces(words)
    plumbing: dict[str, Any] = {"tokenizer": pieces.cut, "reverse_tokenizer": pieces.join}
    if "stopwords_regex" in AUGMENTERS[child.name]:
        patterns = [child.options.get("stopwords_regex"), f".*(?:{MARKER.pattern})"]
        plumbing["stopwords_regex"] = "|".join(filter(None, patterns))
    return plumbing
