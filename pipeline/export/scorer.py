"""A scorer turns rows of text into logits, with or without torch; everything that asks a model speaks to one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.errors import ModelError
from pipeline.export.bundle import Bundle, OpenBundle


class Row(NamedTuple):
    """One question: a text, and for a task on pairs a second one."""

    text: str
    text_pair: str | None = None


@dataclass(frozen=True)
class Encoded:
    """A row in word pieces.

    Args:
        ids: word pieces.
        type_ids: 0 for the first text, 1 for the second; as many.
        cut: whether the row was longer than the model takes and lost its end.
    """

    ids: list[int]
    type_ids: list[int]
    cut: bool

    def __len__(self) -> int:
        return len(self.ids)


class Scorer(Protocol):
    """What answers: a bundle through ONNX Runtime, or the same model in torch."""

    @property
    def bundle(self) -> Bundle:
        """What the model is for."""

    def encode(self, rows: Sequence[Row]) -> list[Encoded]:
        """The rows in word pieces."""

    def logits(self, rows: Sequence[Encoded]) -> NDArray[np.float32]:
        """(rows, outputs); one forward pass."""


class RowTokenizer:
    """The tokenizer of a bundle as it was in training: special tokens' names are text, long rows lose their end.

    Args:
        bundle: whose tokenizer it is.

    Raises:
        ModelError: the tokenizer cannot be read, or was changed.
    """

    def __init__(self, bundle: OpenBundle) -> None:
        path = bundle.file("tokenizer.json")
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare exceptions
            raise ModelError(f"{path} is no tokenizer ({error}): export the student again") from error
        self._tokenizer.encode_special_tokens = True  # not kept in the file
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(bundle.facts.max_length)

    def encode(self, rows: Sequence[Row]) -> list[Encoded]:
        """The rows in word pieces, special tokens included."""
        texts = [row.text if row.text_pair is None else (row.text, row.text_pair) for row in rows]
        return [
            Encoded(found.ids, found.type_ids, bool(found.overflowing)) for found in self._tokenizer.encode_batch(texts)
        ]


def padded(rows: Sequence[Encoded], bundle: Bundle) -> dict[str, NDArray[np.int64]]:
    """The model's inputs by name, each (rows, longest row), padded on the right."""
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), bundle.pad_id, np.int64)
    mask, types = np.zeros_like(ids), np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row.ids
        types[place, : len(row)] = row.type_ids
        mask[place, : len(row)] = 1
    arrays = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    return {name: arrays[name] for name in bundle.inputs}
