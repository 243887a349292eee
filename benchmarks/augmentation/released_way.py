"""The way the released TinyBERT code substitutes words, written from its description; slow on purpose.

One forward pass of one pair (masked sentence, sentence) for each word of one piece, the head at every position, and a
full sort of the vocabulary; for a word of several pieces one product with all word vectors and a full sort of those.
What it does not do here is what would only slow it down: its tokenizer is the fast one.
"""

import random
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast

LONGEST = 512


@dataclass
class ReleasedWay:
    """Augments one sentence at a time.

    Attributes:
        model: a BERT with its masked-LM head.
        tokenizer: its tokenizer.
        words: that have vectors.
        vectors: (words, dimension), of length one.
        stop_words: are never replaced.
        candidates: a word (K).
        variants: a sentence (N).
        probability: of replacing a word.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    words: list[str]
    vectors: NDArray[np.float32]
    stop_words: frozenset[str]
    candidates: int = 15
    variants: int = 20
    probability: float = 0.4

    def __post_init__(self) -> None:
        self._index = {word: number for number, word in enumerate(self.words)}
        self.model.eval()

    def candidate_words(self, sentence: str) -> dict[int, list[str]]:
        """What may stand in place of each replaceable word."""
        pieces = self.tokenizer.tokenize(sentence)
        starts = [at for at, piece in enumerate(pieces) if not piece.startswith("##")]
        found = {}
        for number, start in enumerate(starts):
            end = starts[number + 1] if number + 1 < len(starts) else len(pieces)
            word = "".join(piece.removeprefix("##") for piece in pieces[start:end])
            if not word.isalpha() or word in self.stop_words:
                continue
            found[number] = self._proposals(pieces, start) if end == start + 1 else self._neighbours(word)
        return found

    def augment(self, sentence: str) -> list[str]:
        """The sentence and its distinct variants."""
        pieces = self.tokenizer.tokenize(sentence)
        words: list[str] = []
        for piece in pieces:
            if piece.startswith("##"):
                words[-1] += piece[2:]
            else:
                words.append(piece)
        candidates = self.candidate_words(sentence)
        made = [sentence]
        for _ in range(self.variants):
            variant = list(words)
            for at, choices in candidates.items():
                chosen = random.choice(choices or [words[at]])
                if random.random() < self.probability:
                    variant[at] = chosen
            if " ".join(variant) not in made:
                made.append(" ".join(variant))
        return made

    def _proposals(self, pieces: list[str], at: int) -> list[str]:
        masked = [*pieces[:at], "[MASK]", *pieces[at + 1 :]]
        line = ["[CLS]", *masked, "[SEP]", *pieces, "[SEP]"][:LONGEST]
        types = [0] * min(len(line), len(masked) + 2) + [1] * max(0, len(line) - len(masked) - 2)
        ids = torch.tensor([self.tokenizer.convert_tokens_to_ids(line)])
        with torch.no_grad():
            logits = self.model(input_ids=ids, token_type_ids=torch.tensor([types])).logits
        best = torch.argsort(logits[0, at + 1], descending=True)[: self.candidates].tolist()
        return [token for token in self.tokenizer.convert_ids_to_tokens(best) if not token.startswith("##")]

    def _neighbours(self, word: str) -> list[str]:
        if word not in self._index:
            return []
        own = self._index[word]
        distance = self.vectors @ self.vectors[own]
        distance[own] = -np.inf
        return [self.words[at] for at in np.argsort(-distance)[: self.candidates]]
