"""Statistics of all rows, which some augmenters need before they can change one: counted once, in one pass.

They are written beside the rows, so that every worker reads the same.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.augmentation.augmenters.tang2019 import Tags, count_tags
from pipeline.augmentation.variants.shards import replacing
from pipeline.augmentation.words.spans import WordSpans
from pipeline.config.augmentation import AugmentationConfig
from pipeline.config.augmenters import children
from pipeline.config.words import WordsConfig


@dataclass(frozen=True)
class Statistics:
    """Counts over rows.

    Attributes:
        tags: for ``same_pos``: how often each word has each part of speech.
        idf: for ``tfidf``: inverse document frequency of each word.
        weight: for ``tfidf``: probability of each word to replace another; they sum to 1.
    """

    tags: Tags = field(default_factory=dict)
    idf: Mapping[str, float] = field(default_factory=dict)
    weight: Mapping[str, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the statistics to a file, whole or not at all."""
        with replacing(path) as file:
            file.write(json.dumps(asdict(self), ensure_ascii=False).encode(errors="surrogatepass"))

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """Read what ``save`` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8", errors="surrogatepass")))


def wants_statistics(config: AugmentationConfig) -> bool:
    """Return whether an augmenter of the configuration needs statistics."""
    return not {"same_pos", "tfidf"}.isdisjoint(child.name for child in children(config.augmenters))


def count_statistics(config: AugmentationConfig, texts: Callable[[], Iterable[str]]) -> Statistics:
    """Count the statistics that the augmenters of a configuration need, and no others.

    Args:
        config: its augmenters and words.
        texts: reads the texts of all rows; it is called again for each kind of statistics.
    """
    names = {child.name for child in children(config.augmenters)}
    tags = count_tags(texts(), config.words) if "same_pos" in names else {}
    idf, weight = _tfidf(texts(), config.words) if "tfidf" in names else ({}, {})
    return Statistics(tags, idf, weight)


def _tfidf(texts: Iterable[str], words: WordsConfig) -> tuple[dict[str, float], dict[str, float]]:
    """Return idf and weights as nlpaug's ``TfIdf.train``, which wrongly counts a word of a text more than once."""
    word_spans = WordSpans(words)
    num_texts, in_texts, mass = 0, Counter[str](), defaultdict[str, float](float)
    for text in texts:
        tokens = word_spans.spelled(text)
        num_texts += 1
        in_texts.update(set(tokens))
        for token, times in Counter(tokens).items():
            mass[token] += times / len(tokens)
    idf = {token: math.log(num_texts / count) for token, count in sorted(in_texts.items())}
    scores = {token: mass[token] * idf[token] for token in idf}
    highest = max(scores.values(), default=0.0)
    total = sum(highest - score for score in scores.values())
    weight = {token: (highest - score) / total if total else 1 / len(scores) for token, score in scores.items()}
    return idf, weight
