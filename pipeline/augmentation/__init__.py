"""Word substitution (Jiao et al. 2020, algorithm 1): candidates for words, and variants drawn from them.

The public face are nlpaug augmenters, to stand in its flows beside its own: ``TinyBertAug``, ``MaskAug``,
``SamePosAug``, ``NgramAug``; and those of nlpaug's own that today's libraries or slips of its own break, put right in
``nlpaug_fixes``: ``Sequential`` and ``Sometimes``, ``ContextualWordEmbsAug``, ``WordEmbsAug``, ``SynonymAug``,
``AntonymAug``, ``SpellingAug``, ``SplitAug``, ``RandomWordAug``, ``ReservedAug`` and ``TfIdfAug``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # nlpaug loads torch, and most of what is in here needs neither
    from pipeline.augmentation.augmenters.masking import MaskAug
    from pipeline.augmentation.augmenters.ngram import NgramAug
    from pipeline.augmentation.augmenters.nlpaug_fixes import (
        AntonymAug,
        ContextualWordEmbsAug,
        RandomWordAug,
        ReservedAug,
        Sequential,
        Sometimes,
        SpellingAug,
        SplitAug,
        SynonymAug,
        TfIdfAug,
        WordEmbsAug,
    )
    from pipeline.augmentation.augmenters.same_pos import SamePosAug
    from pipeline.augmentation.augmenters.tinybert import TinyBertAug

__all__ = [
    "AntonymAug",
    "ContextualWordEmbsAug",
    "MaskAug",
    "NgramAug",
    "RandomWordAug",
    "ReservedAug",
    "SamePosAug",
    "Sequential",
    "Sometimes",
    "SpellingAug",
    "SplitAug",
    "SynonymAug",
    "TfIdfAug",
    "TinyBertAug",
    "WordEmbsAug",
]

_HOMES = {"MaskAug": "masking", "NgramAug": "ngram", "SamePosAug": "same_pos", "TinyBertAug": "tinybert"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.augmenters.{_HOMES.get(name, 'nlpaug_fixes')}"), name)
