"""Sequences of a fixed greatest length, made of whole paragraphs.

A sequence is ``[CLS] paragraphs of one document [SEP]``: consecutive paragraphs are joined while they
fit; a paragraph that is too long by itself is split. No sequence crosses from one document to another.
"""

from collections.abc import Iterable, Iterator


def pack(documents: Iterable[list[list[int]]], max_length: int, cls_id: int, sep_id: int) -> Iterator[list[int]]:
    """Join the paragraphs of each document into sequences of at most ``max_length`` tokens.

    Args:
        documents: documents of paragraphs of token ids, without special tokens.
        max_length: greatest length of a sequence, its two special tokens included; at least 3.
        cls_id: first token of every sequence.
        sep_id: last token of every sequence.
    """
    room = max_length - 2
    if room < 1:
        raise ValueError(f"max_length is {max_length}: two special tokens and text need at least 3")
    for document in documents:
        for tokens in _fill(document, room):
            yield [cls_id, *tokens, sep_id]


def _fill(document: list[list[int]], room: int) -> Iterator[list[int]]:
    tokens: list[int] = []
    for paragraph in document:
        if tokens and len(tokens) + len(paragraph) > room:
            yield tokens
            tokens = []
        tokens = tokens + paragraph
        while len(tokens) > room:
            yield tokens[:room]
            tokens = tokens[room:]
    if tokens:
        yield tokens
