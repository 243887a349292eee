"""What a word is, and which words augmentation leaves alone."""

import re
from typing import Literal

from pydantic import Field, field_validator

from pipeline.config.base import Config

Language = Literal["english", "chinese", "other"]
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class WordsConfig(Config):
    """What a word is, and which words are never replaced."""

    segmentation: str = Field(
        "tokenizer",
        title="Where words end",
        description="jieba: Chinese words of several characters (extra 'chinese'); module:function: text to words.",
    )
    language: Language = Field(
        "english", description="Decides the stop-words and the negations; other: neither, see protect."
    )
    negations: bool = Field(
        True, title="Protect negations", description="not, never, without: they stay, and none comes in."
    )
    protect: tuple[str, ...] = Field(
        (), title="Words and phrases that stay", description="In any case; as whole words where words have spaces."
    )
    protect_patterns: tuple[str, ...] = Field(
        (), title="Regular expressions", description="Every word that a match in the row's text touches stays."
    )

    @field_validator("segmentation", mode="after")
    @classmethod
    def _is_one(cls, name: str) -> str:
        if name not in {"tokenizer", "jieba"} and not _FUNCTION.fullmatch(name):
            raise ValueError(f"{name!r} is no segmentation: expected tokenizer, jieba or module:function")
        return name

    @field_validator("protect", mode="after")
    @classmethod
    def _says_something(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        if not all(phrase.strip() for phrase in phrases):
            raise ValueError("one of the words is empty: remove it")
        return phrases

    @field_validator("protect_patterns", mode="after")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                matches_nothing = re.compile(pattern).search("") is not None
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression ({error}): mend it") from None
            if matches_nothing:
                raise ValueError(f"{pattern!r} matches nothing at all as well: make it match at least a character")
        return patterns
