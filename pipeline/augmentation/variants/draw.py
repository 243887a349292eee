"""A variant is a row in which each replaceable word of one column was replaced with probability p_t.

The draws of a row's column come from a counter-based generator keyed by (seed, row, column), variant
after variant: they depend neither on the other rows, nor on their order, nor on how many variants are
drawn after them.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple, Protocol

import numpy as np

from pipeline.augmentation.candidates.table import Candidates

TEXT, TEXT_PAIR = "text", "text_pair"
RowId = int | str


class Row(NamedTuple):
    """A row to augment; ``text_pair`` is None for single sentences."""

    row_id: RowId
    text: str
    text_pair: str | None = None


class Variant(NamedTuple):
    """A changed row.

    ``variant`` counts from 1 in the order of drawing, with gaps where duplicates were dropped; ``column``
    is the one that was changed, in ``num_changed`` words; the other one is the row's own, to the letter.
    """

    origin_id: RowId
    variant: int
    column: str
    num_changed: int
    text: str
    text_pair: str | None


class Drawn(NamedTuple):
    """One draw: its number from 1, the number of words it changed, and its text."""

    number: int
    num_changed: int
    text: str


def generator_for(seed: int, row_id: RowId, column: str) -> np.random.Generator:
    """Return the generator of one column of one row."""
    key = blake2b(f"{seed}/{row_id}/{column}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


def draw_all(
    candidates: Candidates, text: str, count: int, probability: float, generator: np.random.Generator
) -> Iterator[Drawn]:
    """Draw ``count`` times (algorithm 1, lines 13 to 20); a draw that replaces no word is the text itself.

    Args:
        candidates: candidates of the text's words.
        text: the text as its user wrote it.
        count: number of draws.
        probability: probability of replacing a word (p_t).
        generator: the only source of randomness.
    """
    choices = list(candidates.words.items())
    uniform = generator.random((count, 2, len(choices)))
    replaced = (uniform[:, 0] < probability).tolist()
    chosen = (uniform[:, 1] * [len(words) for _, words in choices]).astype(np.int64).tolist()
    parts, spaced = candidates.sentence.parts(), candidates.sentence.spaced
    for number, (yes, which) in enumerate(zip(replaced, chosen, strict=True), start=1):
        made = parts.copy()
        for (position, words), index, replace in zip(choices, which, yes, strict=True):
            if replace:
                made[position] = f" {words[index]}" if spaced[position] else words[index]
        yield Drawn(number, sum(yes), "".join(made).strip() if any(yes) else text)


def distinct(text: str, drawn: Iterable[Drawn]) -> Iterator[Drawn]:
    """Yield the draws that differ from the text and from earlier draws, ignoring case."""
    seen = {text.lower()}
    for made in drawn:
        lowered = made.text.lower()
        if lowered not in seen:
            seen.add(lowered)
            yield made


class Augmenter(Protocol):
    """An object that makes variants of a text, such as ``TinyBertAug``."""

    def draws(self, text: str, count: int, generator: np.random.Generator) -> Iterator[Drawn]:
        """Yield up to ``count`` distinct variants of ``text``, by the generator's randomness alone."""


def augment_rows(
    rows: Iterable[Row], augmenter: Augmenter, *, variants: int, seed: int, pair_mutation: bool = False
) -> Iterator[Variant]:
    """Yield variants of each row: up to ``variants`` of its text, then as many of its pair.

    The count is per column, as in the released code: a pair has up to twice as many as a sentence.

    Args:
        rows: the rows, in any order.
        augmenter: makes the variants.
        variants: number of draws for each column (N_a).
        seed: seed of the run.
        pair_mutation: repeat a mistake of the released code, which changes the row in place: each variant of the
            pair stands beside the last variant of the text instead of the text itself.
    """
    for row in rows:
        beside = row.text
        for made in augmenter.draws(row.text, variants, generator_for(seed, row.row_id, TEXT)):
            yield Variant(row.row_id, made.number, TEXT, made.num_changed, made.text, row.text_pair)
            if pair_mutation:
                beside = made.text
        if row.text_pair is None:
            continue
        pair = row.text_pair
        for made in augmenter.draws(pair, variants, generator_for(seed, row.row_id, TEXT_PAIR)):
            yield Variant(row.row_id, made.number, TEXT_PAIR, made.num_changed, beside, made.text)
