"""The list of augmenters that change a row's text, one after the other.

An item is a name with its options and, optionally, ``rows``: the share of the variants to which it is applied
(``{keyboard: {aug_word_p: 0.2}, rows: 0.1}``). The tables here have the options of nlpaug's classes, without those that
are no plain values or name a file, because a file is no part of a configuration's identity.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

SHARE, SOME, COUNT = "a share from 0 to 1", "a share above 0, at most 1", "a whole number above 0"
FLAG, TEXT, TEXTS, GROUPS = "true or false", "text", "a list of texts", "a list of lists of two texts or more"
Arguments = Mapping[str, str | tuple[str, ...]]
MARKERS = r"\[(?:[A-Z]+|pad|unk|cls|sep|mask)\]|<[/|]?[a-z_]+\|?>"
"""Special tokens such as [MASK] and </s>, also in lower case; no augmenter changes them."""
HOLE = "\ufdd0"
"""Precedes a special token that an augmenter put into a text, to distinguish it from the same characters of a user."""

_COUNTED: Arguments = {"aug_min": COUNT, "aug_max": COUNT, "aug_p": SOME}  # nlpaug takes an aug_p of 0 for 0.3
_WORDS: Arguments = {**_COUNTED, "stopwords": TEXTS, "stopwords_regex": TEXT}
_CHARACTERS: Arguments = {
    **{f"aug_{part}_{bound}": COUNT for part in ("char", "word") for bound in ("min", "max")},
    "aug_char_p": SHARE,
    "aug_word_p": SHARE,
    "min_char": COUNT,
    "stopwords": TEXTS,
    "stopwords_regex": TEXT,
}
_UPPER_AND_NUMBERS: Arguments = {"include_upper_case": FLAG, "include_numeric": FLAG}
_KEYBOARDS = ("de", "en", "es", "fr", "he", "it", "nl", "pl", "th", "tr", "uk")

OWN: Mapping[str, Arguments] = {
    "tinybert": {"probability": SHARE},
    "mask": {"probability": SHARE, "token": TEXT},
    "same_pos": {"probability": SHARE},
    "ngram": {"probability": SHARE, "longest": COUNT},
}
STOCK: Mapping[str, Arguments] = {
    "keyboard": {**_CHARACTERS, **_UPPER_AND_NUMBERS, "include_special_char": FLAG, "lang": _KEYBOARDS},
    "ocr": _CHARACTERS,
    "random_char": {
        **_CHARACTERS,
        **_UPPER_AND_NUMBERS,
        "action": ("insert", "substitute", "swap", "delete"),
        "include_lower_case": FLAG,
        "swap_mode": ("adjacent", "middle", "random"),
        "spec_char": TEXT,
        "candidates": TEXTS,
    },
    "random_word": {**_WORDS, "action": ("substitute", "swap", "delete", "crop"), "target_words": TEXTS},
    "split": {**_WORDS, "min_char": COUNT},
    "spelling": {**_WORDS, "include_reverse": FLAG},
    "reserved": {**_COUNTED, "reserved_tokens": GROUPS, "case_sensitive": FLAG},
    "tfidf": {**_WORDS, "action": ("substitute", "insert"), "top_k": COUNT},
}
AUGMENTERS: Mapping[str, Arguments] = {**OWN, **STOCK}


class Child(NamedTuple):
    """An augmenter of the list: its name, options, and the share of the variants to which it is applied."""

    name: str
    options: Mapping[str, Any]
    rows: float = 1.0


def children(listed: Iterable[Mapping[str, Any]]) -> tuple[Child, ...]:
    """Parse the list as a user wrote it.

    Raises:
        ValueError: an item names no augmenter, an unknown one, or an option that its augmenter does not have.
    """
    known = tuple(_child(item) for item in listed)
    if not known:
        raise ValueError("the list is empty: name an augmenter, such as {tinybert: {}}, or set augmentation to null")
    if any(child.name == "tinybert" for child in known[1:]):
        raise ValueError("tinybert comes first, and once: its candidates are those of the row as it is")
    return known


def normal(listed: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return the list in a normal form, equal for equal lists: ``rows`` only if it is not 1."""
    return tuple(
        {child.name: dict(child.options)} | ({"rows": child.rows} if child.rows != 1 else {})
        for child in children(listed)
    )


def _child(item: Mapping[str, Any]) -> Child:
    names = [name for name in item if name != "rows"]
    if len(names) != 1:
        raise ValueError(f"{dict(item)} names {len(names)} augmenters: write one an item, such as {{keyboard: {{}}}}")
    name, rows = names[0], item.get("rows", 1.0)
    if name not in AUGMENTERS:
        raise ValueError(f"there is no augmenter {name!r}: choose one of {', '.join(AUGMENTERS)}")
    if not _is(SHARE, rows):
        raise ValueError(f"rows of {name} is {rows!r}, expected {SHARE}")
    options = item[name] or {}
    if not isinstance(options, Mapping):
        raise ValueError(f"{name} is {options!r}, expected a section of names and values")  # noqa: TRY004 - pydantic's
    for key, value in options.items():
        expected = AUGMENTERS[name].get(key)
        if expected is None:
            raise ValueError(f"{name} takes no {key!r}: choose among {', '.join(AUGMENTERS[name])}")
        if not _is(expected, value):
            required = expected if isinstance(expected, str) else f"one of {', '.join(expected)}"
            raise ValueError(f"{name}.{key} is {value!r}, expected {required}")
    if name == "reserved" and "reserved_tokens" not in options:
        raise ValueError("reserved needs reserved_tokens: groups of words that may stand for one another")
    return Child(name, {key: _plain(options[key]) for key in sorted(options)}, float(rows))


def _is(expected: str | tuple[str, ...], value: Any) -> bool:
    return value in expected if isinstance(expected, tuple) else _CHECKS[expected](value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(value: Any, is_item: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(is_item, value))


def _is_texts(value: Any) -> bool:
    return _is_list(value, lambda item: isinstance(item, str))


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    SHARE: lambda value: _is_number(value) and 0 <= value <= 1,
    SOME: lambda value: _is_number(value) and 0 < value <= 1,
    COUNT: lambda value: _is_number(value) and isinstance(value, int) and value > 0,
    FLAG: lambda value: isinstance(value, bool),
    TEXT: lambda value: isinstance(value, str),
    TEXTS: _is_texts,
    GROUPS: lambda value: _is_list(value, lambda group: _is_texts(group) and len(group) > 1),
}


def _plain(value: object) -> object:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
