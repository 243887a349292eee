"""Corrections of nlpaug 1.1.11, the newest release, which fails with today's libraries.

Each class says what it corrects; a test has each upstream fault, and fails when it is gone. Other augmenters of nlpaug
need no correction.
"""

import random
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from nlpaug import flow
from nlpaug.augmenter import word
from nlpaug.model import lang_models, word_dict, word_stats

from pipeline.augmentation.augmenters.seeded import CaseBlind, unwrapped


class _Flow(CaseBlind):
    """The common part of ``Sequential`` and ``Sometimes``.

    Upstream returns n rows in all for a list of texts, returns nested lists from a nested flow that was not drawn, and
    fails because of a missing ``is_duplicate`` if the first child is a flow.
    """

    def augment(self, data: str | list[str], n: int = 1, num_thread: int = 1) -> list[str]:  # noqa: ARG002
        """Return up to ``n`` distinct variants of a text, itself if there are none; one of each text of a list."""
        if isinstance(data, list):
            return [self._once(text) for text in data]
        if not data.strip():
            return []
        variants: dict[str, str] = {}
        for _ in range(n):
            made = self._once(data)
            variants.setdefault(made.lower(), made)
        variants.pop(data.lower(), None)
        return list(variants.values()) or [data]

    def _once(self, text: str) -> str:
        for child in self:  # type: ignore[attr-defined]
            if text.strip() and self.draw():  # type: ignore[attr-defined]
                text = unwrapped(child.augment(text)) or text
        return text


class Sequential(_Flow, flow.Sequential):
    """nlpaug's, for texts and lists of texts, in any nesting."""


class Sometimes(_Flow, flow.Sometimes):
    """nlpaug's, for texts and lists of texts, in any nesting: each child is drawn with ``aug_p``."""


class _OwnIds:
    """Upstream calls ``_convert_token_to_id`` of a slow tokenizer, which transformers 5 does not have."""

    tokenizer: Any

    def token2id(self, token: str) -> int:
        """Return the id of a token."""
        return self.tokenizer.convert_tokens_to_ids(token)

    def id2token(self, _id: int) -> str:
        """Return the token of an id."""
        return self.tokenizer.convert_ids_to_tokens(_id)


class _Bert(_OwnIds, lang_models.Bert):
    pass


class _DistilBert(_OwnIds, lang_models.DistilBert):
    pass


class _Roberta(_OwnIds, lang_models.Roberta):
    pass


class ContextualWordEmbsAug(word.ContextualWordEmbsAug):
    """nlpaug's words from a masked LM; upstream cannot look up a token id, and its cache ignores its settings.

    Args:
        model_path: folder or hub id of a BERT, DistilBERT or RoBERTa.
        model_type: ``bert``, ``distilbert`` or ``roberta``.
        top_k: number of tokens from which one is drawn; the other options are nlpaug's.
    """

    @classmethod
    def get_model(
        cls,
        model_path: str,
        model_type: str,
        device: str = "cpu",
        force_reload: bool = False,  # noqa: ARG003 - nlpaug's signature
        batch_size: int = 32,
        top_k: int | None = None,
        silence: bool = True,
        use_custom_api: bool = True,  # noqa: ARG003
    ) -> Any:
        """Load a separate model for each augmenter."""
        kinds = {"bert": _Bert, "distilbert": _DistilBert, "roberta": _Roberta}
        return kinds[model_type](model_path, device=device, top_k=top_k, silence=silence, batch_size=batch_size)


class Neighbours(Protocol):
    """Word vectors such as ``pipeline.augmentation.candidates.vectors.WordVectors``."""

    words: list[str]

    def neighbours(self, word: str, k: int) -> tuple[str, ...]:
        """Return the ``k`` nearest words."""


class WordEmbsAug(word.WordEmbsAug):
    """nlpaug's on our word vectors; upstream reads them with gensim, for minutes, into one cache for the process.

    Args:
        vectors: the word vectors.
        top_k: number of neighbours from which one is drawn.
        options: options of nlpaug's class: ``action``, ``aug_p``, ``stopwords`` and so on.
    """

    def __init__(self, vectors: Neighbours, *, top_k: int = 100, **options: Any) -> None:
        super().__init__("glove", model=_VectorsModel(vectors, top_k), top_k=top_k, **options)


class _VectorsModel:
    def __init__(self, vectors: Neighbours, top_k: int) -> None:
        self._vectors, self._top_k = vectors, top_k
        self._vocabulary = dict.fromkeys(vectors.words)

    def get_vocab(self) -> Any:
        return self._vocabulary

    def predict(self, word: str, n: int = 1) -> list[str]:  # noqa: ARG002 - nlpaug's signature
        return list(self._vectors.neighbours(word, self._top_k)) or [word]


class Thesaurus(Protocol):
    """A source of words of similar or opposite meaning, and of parts of speech."""

    def predict(self, word: str, pos: str | None = None) -> list[str]:
        """Return the words that may replace ``word``."""

    def pos_tag(self, tokens: list[str]) -> list[tuple[str, str]]:
        """Return each token with its Penn Treebank tag."""


class _OnThesaurus:
    """Words from any thesaurus; upstream wants nltk and downloads its data when first used.

    Args:
        thesaurus: the thesaurus.
        options: options of nlpaug's class: ``aug_p``, ``stopwords`` and so on.
    """

    def __init__(self, thesaurus: Thesaurus, **options: Any) -> None:
        self._thesaurus = thesaurus
        super().__init__(**options)

    def get_model(self, *_: Any) -> Thesaurus:
        """Return the thesaurus."""
        return self._thesaurus


class SynonymAug(_OnThesaurus, word.SynonymAug):
    """nlpaug's on any thesaurus of synonyms."""


class AntonymAug(_OnThesaurus, word.AntonymAug):
    """nlpaug's on any thesaurus of opposites."""


class SpellingAug(word.SpellingAug):
    """nlpaug's in one order; upstream orders misspellings by ``set``, differently in every process, and caches them."""

    def get_model(self, force_reload: bool) -> Any:  # noqa: ARG002 - nlpaug's signature
        """Load a separate dictionary for each augmenter, with sorted entries."""
        model = word_dict.Spelling(self.dict_path, self.include_reverse)
        model.dict = {key: sorted(values) for key, values in model.dict.items()}
        return model


class SplitAug(word.SplitAug):
    """nlpaug's for short words too; upstream fails on words of one or two letters, which ``min_char`` lets through."""

    @classmethod
    def sample(cls, x: Any, num: int | None = None) -> Any:
        """Draw from [1, x); upstream draws from [1, x - 1), which is empty for x = 2."""
        return int(np.random.randint(1, x)) if isinstance(x, int) else random.sample(x, num or 0)  # noqa: NPY002

    def skip_aug(self, token_idxes: list[int], tokens: list[str]) -> list[int]:
        """Return the words to split, without those of one letter."""
        return [at for at in super().skip_aug(token_idxes, tokens) if len(tokens[at]) > 1]


class RandomWordAug(word.RandomWordAug):
    """nlpaug's; upstream's ``crop`` fails every other time that a single word is to go."""

    def _get_aug_range_idxes(self, tokens: list[str]) -> list[int]:
        size = min(self.generate_aug_cnt(len(tokens)), len(tokens) - 1)
        if size < 1:
            return []
        start = random.randrange(len(tokens) - size + 1)  # noqa: S311 - nlpaug's source of randomness
        return list(range(start, start + size))


class ReservedAug(word.ReservedAug):
    """nlpaug's; upstream joins the words of every known phrase with ``nnnnn``, also of those that it does not draw."""

    def substitute(self, data: str) -> str:
        """Return one draw."""
        made: str = super().substitute(data)
        return made.replace(self.CONNECT_TOKEN, " ")


class TfIdfAug(word.TfIdfAug):
    """nlpaug's on statistics that are in memory; upstream reads two files into one cache for the process.

    Args:
        idf: inverse document frequency of each word.
        weight: probability of each word to replace another; they sum to 1.
        options: options of nlpaug's class: ``action``, ``aug_p``, ``top_k`` and so on.
    """

    def __init__(self, idf: Mapping[str, float], weight: Mapping[str, float], **options: Any) -> None:
        self._idf, self._weight = idf, weight
        super().__init__(**options)

    def get_model(self, force_reload: bool = False) -> Any:  # noqa: ARG002 - nlpaug's signature
        """Return the statistics as nlpaug's model."""
        model = word_stats.TfIdf()
        model.w2idf = dict(self._idf)
        model.tokens, model.tfidf_scores = list(self._weight), list(self._weight.values())
        return model
