"""A template puts one sentence, or two, between a model's special tokens, and knows how many tokens fit.

It is read from the tokenizer once, with an encoded pair; sentences are then framed by list arithmetic.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

Run = tuple[Sequence[int], Sequence[int]]  # ids, segment ids
NOTHING: Run = ((), ())


class HasLength(Protocol):
    """An input of a model, of ``length`` tokens."""

    @property
    def length(self) -> int:
        """Number of tokens, special tokens included."""


Input = TypeVar("Input", bound=HasLength)


def equal_length_batches(
    inputs: Iterable[Input], max_tokens: int, max_rows: int | None = None
) -> Iterator[list[Input]]:
    """Put inputs into batches in which all have the same length, so that nothing is padded.

    Args:
        inputs: the inputs, in any order.
        max_tokens: largest number of tokens of a batch; a longer input is a batch of its own.
        max_rows: largest number of inputs of a batch; None has no limit.
    """
    for length, group in groupby(sorted(inputs, key=lambda item: item.length), key=lambda item: item.length):
        same = list(group)
        rows = max(1, min(max_tokens // length, max_rows or len(same)))
        yield from (same[start : start + rows] for start in range(0, len(same), rows))


@dataclass(frozen=True, slots=True)
class Template:
    """Special tokens around one or two sentences.

    Attributes:
        before: special tokens before the first sentence.
        between: special tokens between the sentences of a pair.
        after: special tokens after the second sentence of a pair.
        end: special tokens after a single sentence.
        segments: segment ids of the first and the second sentence.
        max_length: number of the model's positions.
        has_types: whether the model takes segment ids.
    """

    before: Run
    between: Run
    after: Run
    end: Run
    segments: tuple[int, int]
    max_length: int
    has_types: bool

    @property
    def start(self) -> int:
        """Index of the first sentence's first piece."""
        return len(self.before[0])

    @property
    def max_pieces(self) -> int:
        """Largest number of pieces of a single sentence."""
        return self.max_length - len(self.before[0]) - len(self.end[0])

    def inputs(self, framed: Tensor) -> dict[str, Tensor]:
        """Return the inputs of the model for framed sentences of one length, (rows, 2, length): ids and segment ids."""
        ids, types = framed[:, 0], framed[:, 1]
        extra = {"token_type_ids": types} if self.has_types else {}
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **extra}

    def room(self, num_pieces: int) -> int:
        """Return how many pieces of a second sentence fit beside a first one of ``num_pieces``; may be negative."""
        return self.max_length - num_pieces - sum(len(run[0]) for run in (self.before, self.between, self.after))

    def length(self, num_pieces: int, *, paired: bool) -> int:
        """Return the length of a framed sentence of ``num_pieces``, as a pair with itself if ``paired``."""
        room = self.room(num_pieces)
        if paired and room > 0:
            return self.max_length - room + min(room, num_pieces)
        return min(num_pieces, self.max_pieces) + len(self.before[0]) + len(self.end[0])

    def frame(self, first: list[int], second: list[int] | None) -> tuple[list[int], list[int]]:
        """Return ids and segment ids of ``first`` with as much of ``second`` as fits.

        The second sentence is cut first; if none of it fits, the first is alone, and cut too if necessary. Special
        tokens are never cut.
        """
        room = self.room(len(first))
        if second is None or room <= 0:
            first = first[: self.max_pieces]
            runs: tuple[Run, ...] = (self.before, (first, [self.segments[0]] * len(first)), self.end)
        else:
            second = second[:room]
            one = (first, [self.segments[0]] * len(first))
            two = (second, [self.segments[1]] * len(second))
            runs = (self.before, one, self.between, two, self.after)
        return [i for run in runs for i in run[0]], [i for run in runs for i in run[1]]


def build_template(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> Template:
    """Read the template of a model from its tokenizer and configuration."""
    pair = _runs(tokenizer, "a", "a")
    single = _runs(tokenizer, "a")
    before, _, between, _, after = pair
    segments = (pair[1][1][0], pair[3][1][0])
    has_types = (getattr(model.config, "type_vocab_size", 0) or 0) > 1
    return Template(before, between, after, single[2], segments, num_positions(model, tokenizer), has_types)


def num_positions(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """Return the number of the model's positions; RoBERTa's begin after its padding id."""
    positions = getattr(model.config, "max_position_embeddings", None) or 0
    if positions <= 0:
        return tokenizer.model_max_length
    tables = (part for name, part in model.named_modules() if name.endswith("position_embeddings"))
    padding = [table.padding_idx for table in tables if getattr(table, "padding_idx", None) is not None]
    return min(positions - max(padding, default=-1) - 1, tokenizer.model_max_length)


def _runs(tokenizer: PreTrainedTokenizerFast, *texts: str) -> list[Run]:
    """Return alternating runs of special tokens and sentences: special, first, special[, second, special]."""
    encoding = tokenizer(*texts).encodings[0]
    labels = [(-1 if number is None else number) for number in encoding.sequence_ids]
    runs: list[Run] = []
    tokens = zip(labels, encoding.ids, encoding.type_ids, strict=True)
    for label, group in groupby(tokens, key=lambda token: token[0]):
        _, ids, types = zip(*group, strict=True)
        if (label < 0) != (len(runs) % 2 == 0):  # two runs of one kind meet where special tokens are absent
            runs.append(NOTHING)
        runs.append((ids, types))
    if len(runs) % 2 == 0:
        runs.append(NOTHING)
    return runs
