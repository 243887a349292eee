"""A masked language model that proposes token ids for places in sentences.

The encoder runs on batches of equal length, so nothing is padded; its MLM head, which is most of the cost of a small
model, runs only on the places. Several words of a sentence may be masked in one pass: that needs fewer passes, but
each word is predicted without the others.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pipeline.augmentation.candidates.vectors import embedding_weights
from pipeline.augmentation.words.template import Template, build_template, equal_length_batches
from pipeline.augmentation.words.words import Sentence
from pipeline.errors import ModelError

Context = Literal["paired", "masked", "unmasked"]
PartialForward = Callable[[Mapping[str, Tensor], list[int], list[int]], Tensor]
HEAD_ROWS = 512  # rows of the vocabulary's width held at once: 60 MB for 30,000 word pieces


class Place(NamedTuple):
    """The single-piece word at ``position`` of sentence number ``sentence``; ``piece`` indexes its ids."""

    sentence: int
    position: int
    piece: int


class _Input(NamedTuple):
    length: int
    places: tuple[Place, ...]  # of one sentence


class MaskedLM:
    """Proposes token ids for places in sentences.

    Args:
        model: the model; it is moved to ``device`` and run in evaluation mode.
        tokenizer: its tokenizer.
        head: its MLM head: (rows, hidden) -> (rows, vocabulary).
        partial_forward: its encoder: (model inputs, rows, columns) -> hidden states there, (positions, hidden);
            None computes every position.
        context: what the model reads: ``paired`` the masked and the original sentence as two segments, ``masked`` the
            masked sentence alone, ``unmasked`` the original alone, once for all its words.
        masks: largest number of words of a sentence masked in one pass; None masks all places at once.
        device: device to run on.
        max_tokens: largest number of tokens of a batch.

    Raises:
        ModelError: there is no mask token, or the tokenizer has more tokens than the model.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        head: Callable[[Tensor], Tensor],
        partial_forward: PartialForward | None = None,
        context: Context = "paired",
        masks: int | None = 1,
        device: torch.device | str = "cpu",
        max_tokens: int = 4096,
    ) -> None:
        if tokenizer.mask_token_id is None and context != "unmasked":
            raise ModelError(
                f"the tokenizer of {type(model).__name__} has no mask token: name a masked LM in "
                "augmentation.mlm, or set augmentation.context to unmasked"
            )
        known = len(embedding_weights(model))
        highest = max(tokenizer.get_vocab().values())
        if highest >= known:
            raise ModelError(
                f"the tokenizer has token ids up to {highest}, {type(model).__name__} knows {known}: "
                "give the tokenizer that the model was trained with"
            )
        self._model: PreTrainedModel = nn.Module.to(model, device)
        self._head = head
        self._partial_forward = partial_forward or self._of_all
        self._context = context
        self._masks = None if context == "unmasked" else masks
        self._device = device
        self._max_tokens = max_tokens
        self._mask_id = tokenizer.mask_token_id
        self._template: Template = build_template(model, tokenizer)
        self.max_pieces = self._template.max_pieces

    def propose(self, sentences: Sequence[Sentence], places: Sequence[Place], k: int) -> dict[Place, list[int]]:
        """Return the ``k`` best token ids at each place, best first.

        In the ``unmasked`` context the model reads the word itself, so its id is excluded. Every place must lie within
        the first ``max_pieces`` pieces of its sentence.
        """
        proposals: dict[Place, list[int]] = {}
        with _evaluating(self._model), torch.inference_mode():
            for batch in self._batches(sentences, places):
                of_batch = [place for item in batch for place in item.places]
                proposals.update(zip(of_batch, self._best(sentences, batch, k), strict=True))
        return proposals

    def _batches(self, sentences: Sequence[Sentence], places: Sequence[Place]) -> Iterator[list[_Input]]:
        inputs = []
        for number, group in groupby(sorted(places), key=lambda place: place.sentence):
            length = self._template.length(len(sentences[number].ids()), paired=self._context == "paired")
            inputs += [_Input(length, some) for some in spread(tuple(group), self._masks)]
        return equal_length_batches(inputs, self._max_tokens)

    def _best(self, sentences: Sequence[Sentence], batch: list[_Input], k: int) -> Iterator[list[int]]:
        framed, rows, columns, own = [], [], [], []
        for row, item in enumerate(batch):
            ids = sentences[item.places[0].sentence].ids()
            pieces = [place.piece for place in item.places]
            rows += [row] * len(pieces)
            columns += [self._template.start + piece for piece in pieces]
            own += [ids[piece] for piece in pieces]
            seen = list(ids)
            if self._context != "unmasked":
                for piece in pieces:
                    seen[piece] = self._mask_id
            framed.append(self._template.frame(seen, ids if self._context == "paired" else None))
        hidden = self._partial_forward(self._template.inputs(torch.tensor(framed, device=self._device)), rows, columns)
        for begin in range(0, len(rows), HEAD_ROWS):
            chunk = slice(begin, begin + HEAD_ROWS)
            logits = self._head(hidden[chunk])
            if self._context == "unmasked":
                logits[list(range(len(logits))), own[chunk]] = -torch.inf
            yield from logits.topk(min(k, logits.shape[-1])).indices.tolist()

    def _of_all(self, inputs: Mapping[str, Tensor], rows: list[int], columns: list[int]) -> Tensor:
        return self._model.base_model(**inputs)[0][rows, columns]


def spread(places: tuple[Place, ...], most: int | None) -> list[tuple[Place, ...]]:
    """Put places into as few groups as possible of at most ``most``, neighbours into different ones."""
    count = 1 if most is None else -(-len(places) // most)
    return [places[start::count] for start in range(count)]


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
