"""Word substitution (Jiao et al. 2020, algorithm 1): candidates for words, and variants drawn from them.

The public face are nlpaug augmenters, to stand in its flows beside its own: ``TinyBertAug``, ``MaskAug``,
``SamePosAug``, ``NgramAug``, and ``Sequential`` and ``Sometimes`` as nlpaug means them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # nlpaug loads torch, and most of what is in here needs neither
    from pipeline.augmentation.augmenter import TinyBertAug
    from pipeline.augmentation.masking import MaskAug
    from pipeline.augmentation.ngram import NgramAug
    from pipeline.augmentation.nlpaug_fixes import Sequential, Sometimes
    from pipeline.augmentation.same_pos import SamePosAug

__all__ = ["MaskAug", "NgramAug", "SamePosAug", "Sequential", "Sometimes", "TinyBertAug"]

_HOMES = {
    "MaskAug": "masking",
    "NgramAug": "ngram",
    "SamePosAug": "same_pos",
    "Sequential": "nlpaug_fixes",
    "Sometimes": "nlpaug_fixes",
    "TinyBertAug": "augmenter",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
