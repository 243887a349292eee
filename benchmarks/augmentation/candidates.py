"""Candidates and variants against the way the released TinyBERT code makes them, in rounds of one process.

    python benchmarks/augmentation/candidates.py SST-2/dev.tsv --vocab bert-base-uncased.vocab.txt [--device cuda]

Same sentences, same model with random weights, K = 15, N = 20, p = 0.4. A row is a sentence with its candidates and
the draws from them. The lists of ``paired`` are compared with those of the released way, position by position.
"""

import random
import statistics
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from released_way import ReleasedWay
from setting import (
    arguments,
    made_up_vectors,
    masked_lm,
    names,
    print_machine,
    read_sentences,
    wordpiece,
)
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pipeline.augmentation.augmenters.tinybert import TinyBertAug
from pipeline.augmentation.candidates.masked_lm import MaskedLM
from pipeline.augmentation.candidates.table import CandidateTable
from pipeline.augmentation.candidates.vectors import WordVectors
from pipeline.augmentation.variants.draw import Row, augment_rows
from pipeline.augmentation.words.protection import STOP_WORDS
from pipeline.augmentation.words.words import WordSplitter
from pipeline.config.words import WordsConfig
from pipeline.models.mlm import mlm_head
from pipeline.models.speed.partial_forward import partial_forward

RELEASED = "the released way"
PAPER = WordsConfig(negations=False)  # its list of stop-words alone says what stays
WAYS: Mapping[str, tuple[str, int | None]] = {  # context, masks a pass
    "paired": ("paired", 1),
    "paired, 2 masks a pass": ("paired", 2),
    "paired, 3 masks a pass": ("paired", 3),
    "paired, all masks a pass": ("paired", None),
    "masked": ("masked", 1),
    "masked, 3 masks a pass": ("masked", 3),
    "unmasked": ("unmasked", 1),
}
GOALS = {"base": {"paired": 2.4, "unmasked": 15.0}, "small": {"paired": 7.0, "unmasked": 20.0}}


class Ours:
    """The project's way, from sentences to variants, with nothing remembered from the round before."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, words: list[str], matrix: NDArray[np.float32]
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._words, self._matrix = words, matrix

    def table(self, context: str, masks: int | None) -> CandidateTable:
        """A new table, its caches empty."""
        where = self._model.device
        most = {"max_tokens": 1 << 15} if where.type == "cuda" else {}
        parts = {"head": mlm_head(self._model), "partial_forward": partial_forward(self._model)}
        mlm = MaskedLM(self._model, self._tokenizer, **parts, context=context, masks=masks, device=where, **most)
        return CandidateTable(self._tokenizer, mlm, WordVectors(self._words, self._matrix, num_zero=0), 15, PAPER)

    def augment(self, table: CandidateTable, sentences: Sequence[str]) -> int:
        """The number of variants."""
        augmenter = TinyBertAug(table, probability=0.4)
        augmenter.prime(sentences)
        rows = [Row(number, sentence) for number, sentence in enumerate(sentences)]
        return sum(1 for _ in augment_rows(rows, augmenter, variants=20, seed=0))


def rows_a_second(run: Callable[[Sequence[str]], object], sentences: Sequence[str]) -> tuple[float, float]:
    """Of one call that works on some sentences: of wall time, and of the processor's, all its threads together."""
    began, used = time.perf_counter(), time.process_time()
    run(sentences)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return len(sentences) / (time.perf_counter() - began), len(sentences) / (time.process_time() - used)


def is_latin(word: str) -> bool:
    """Whether a word is made of Latin letters."""
    return all(letter.isalpha() and unicodedata.name(letter, "").startswith("LATIN") for letter in word)


def compare_lists(ours: Ours, released: ReleasedWay, sentences: Sequence[str]) -> tuple[int, int]:
    """Positions whose candidates are the same set in both ways, and positions.

    The released way keeps the word itself, pieces that are no words, and words of other scripts, which random weights
    propose as readily as any; all are left out before comparing.
    """
    table = ours.table("paired", 1).build(sentences)
    same = total = 0
    for sentence in sentences:
        found = table[sentence]
        for position, choices in released.candidate_words(sentence).items():
            word = found.sentence.words[position]
            wanted = {other for other in choices if is_latin(other) and other != word}
            same += wanted == set(found.words.get(position, ()))
            total += 1
    return same, total


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--size", choices=("base", "tinybert", "small"), default="base")
    parser.add_argument("--count", type=int, default=200, help="sentences")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", action="append", choices=WAYS, help="of ours; all when left out")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    size, count, rounds = ("quick", 12, 1) if options.quick else (options.size, options.count, options.rounds)
    torch.set_num_threads(options.threads)
    print_machine(options.device)
    sentences, tokenizer = read_sentences(options.sentences, count), wordpiece(options.vocab)
    model = masked_lm(size, len(tokenizer), options.device)
    asked = sorted({word for text in sentences for word in WordSplitter(tokenizer)(text).words if word.isalpha()})
    words = [*asked, *names((1_000 if options.quick else 100_000) - len(asked))]
    matrix = made_up_vectors(words)
    ours = Ours(model, tokenizer, words, matrix)
    ways: dict[str, Callable[[Sequence[str]], object]] = {}
    if options.device == "cpu":
        released = ReleasedWay(model, tokenizer, words, matrix, STOP_WORDS)
        ways[RELEASED] = lambda some: [released.augment(sentence) for sentence in some]
        same, total = compare_lists(ours, released, sentences[:20])
        print(f"paired against the released way: {same} of {total} lists of candidates are the same")
    ours_too = {name: way for name, way in WAYS.items() if not options.ways or name in options.ways}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*ways, *ours_too)}
    for number in range(-1, rounds):  # the first one warms up
        random.seed(number)
        tables = {name: ours.table(*way) for name, way in ours_too.items()}
        turns = ways | {name: partial(ours.augment, table) for name, table in tables.items()}
        for name, run in turns.items():
            speed = rows_a_second(run, sentences if number >= 0 else sentences[:10])
            if number >= 0:
                found[name].append(speed)
    print(f"{size}: {len(sentences)} sentences, median of {rounds} rounds")
    for name, speeds in found.items():
        wall, processor = map(statistics.median, zip(*speeds, strict=True))
        line = f"  {name}: {wall:,.1f} rows/s, {processor:,.1f} a processor second"
        if name != RELEASED and RELEASED in found:
            pairs = [(a / b for a, b in zip(*both, strict=True)) for both in zip(speeds, found[RELEASED], strict=True)]
            wall, processor = map(statistics.median, zip(*pairs, strict=True))
            goal = GOALS.get(size, {}).get(name)
            line += f": {wall:.1f} times as fast, {processor:.1f} by the processor's time"
            line += f" (goal {goal:g})" if goal else ""
        print(line)


if __name__ == "__main__":
    main()
