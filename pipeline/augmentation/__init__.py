"""Word substitution (Jiao et al. 2020, algorithm 1): candidates for words, and variants drawn from them.

This package exports augmenters for nlpaug's flows: ``TinyBertAug``, ``MaskAug``, ``SamePosAug`` and ``NgramAug``, and
those of nlpaug that it corrects in ``nlpaug_fixes``.
"""

from importlib import import_module
from typing import Any

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

_HOMES = {"MaskAug": "tang2019", "NgramAug": "tang2019", "SamePosAug": "tang2019", "TinyBertAug": "tinybert"}


def __getattr__(name: str) -> Any:
    """Import an augmenter when it is asked for: nlpaug loads torch, and most of this room needs neither."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.augmenters.{_HOMES.get(name, 'nlpaug_fixes')}"), name)
