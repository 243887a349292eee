"""Recombined pairs: the first text of one row beside the second of another, for the teacher to label.

A task of pairs that are alike or not has few of the pairs in between. Half of the new ones are drawn at random, so that
nothing but a common word joins their texts; the other half are near: among the texts that share most of the first's
rarer words.
"""

import math
import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

WORD = re.compile(r"\w+")
NEAREST = 5  # a near partner is drawn from so many
MOST_ROWS = 50  # that share a word; a more frequent one says little, and takes long to follow
TRIES = 20  # for a pair that is not there yet


def recombined(firsts: Sequence[str], seconds: Sequence[str], count: int, seed: int) -> list[tuple[int, int]]:
    """Rows to take the first and the second text from, (row, other row); no pair twice, and none that is there.

    Args:
        firsts: first text of each row.
        seconds: second text of each row.
        count: how many pairs; fewer where there are no more.
        seed: of the draws; the same texts and seed give the same pairs.
    """
    numbers = np.random.default_rng(seed)
    there = set(zip(firsts, seconds, strict=True))
    near = _neighbours(firsts, seconds)
    found: list[tuple[int, int]] = []
    for number in range(count):
        for _ in range(TRIES):
            row = int(numbers.integers(len(firsts)))
            partners = near[row] if number % 2 else ()
            other = int(partners[numbers.integers(len(partners))]) if partners else int(numbers.integers(len(seconds)))
            pair = (firsts[row], seconds[other])
            if pair not in there and pair[0] != pair[1]:
                there.add(pair)
                found.append((row, other))
                break
    return found


def _neighbours(firsts: Sequence[str], seconds: Sequence[str]) -> list[list[int]]:
    """For each first text the ``NEAREST`` rows whose second text shares most of its rarer words, its own row aside."""
    words = [sorted(set(WORD.findall(text.lower()))) for text in seconds]
    rows_with: dict[str, list[int]] = defaultdict(list)
    for row, own in enumerate(words):
        for word in own:
            rows_with[word].append(row)
    found = []
    for row, text in enumerate(firsts):
        shared: dict[int, float] = defaultdict(float)
        for word in sorted(set(WORD.findall(text.lower()))):
            rows = rows_with.get(word, [])
            if 0 < len(rows) <= MOST_ROWS:
                weight = math.log(len(seconds) / len(rows))
                for other in rows:
                    shared[other] += weight
        shared.pop(row, None)
        found.append([other for other, _ in sorted(shared.items(), key=lambda pair: (-pair[1], pair[0]))[:NEAREST]])
    return found
