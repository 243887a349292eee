"""Word substitution (Jiao et al. 2020, algorithm 1): how many variants, from which candidates."""

from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator

from pipeline.config.augmenters import normal
from pipeline.config.base import Config
from pipeline.config.words import WordsConfig

Labels = Literal["teacher", "origin", "agree"]


class VectorsConfig(Config):
    """Word vectors for the words that are several word pieces long."""

    path: str | None = Field(None, title="GloVe text file", description="word v1 v2 ... a line, any size.")
    max_words: PositiveInt | None = Field(None, description="Read only the first so many words.")


class AugmentationConfig(Config):
    """Variants of each row in which words are replaced by what a masked LM or a neighbourhood proposes."""

    mlm: str | None = Field(
        "teacher",
        title="Masked language model",
        description="'teacher': the pretrained teacher; a folder or hub id; empty: neighbours for every word.",
    )
    vectors: VectorsConfig | None = Field(
        None, title="Word vectors", description="When empty, the input embeddings of the masked LM serve."
    )
    variants: PositiveInt = Field(20, title="Variants a row (N_a)")
    candidates: PositiveInt = Field(15, title="Candidates a word (K)")
    probability: float = Field(0.4, ge=0, le=1, title="Replacement probability (p_t)")
    seed: NonNegativeInt | None = Field(
        None,
        title="Seed of the draws",
        description="The run's when empty; another one draws again from the same candidates, in seconds.",
    )
    context: Literal["paired", "masked", "unmasked"] = Field(
        "unmasked",
        title="Context of a word",
        description="What the masked LM sees: the sentence as it is (one pass for all its words), with the word masked "
        "(masked), or both side by side (paired, the released code; one pass a word).",
    )
    masks_per_forward: PositiveInt | Literal["all"] = Field(
        1,
        title="Masks a forward pass",
        description="Words of a sentence that are masked together: 1 is the paper's, more is faster.",
    )
    words: WordsConfig = WordsConfig()
    augmenters: tuple[dict[str, Any], ...] = Field(
        ({"tinybert": {}},),
        title="Augmenters, one after the other",
        description="{tinybert: {}} is the paper's; {keyboard: {aug_word_p: 0.2}, rows: 0.1} for a tenth of the rows.",
    )
    labels: Labels = Field(
        "teacher",
        title="Labels of variants",
        description="The teacher's own, those of their origin, or 'agree': variants whose label flips are dropped.",
    )
    unlabelled: bool = Field(False, title="Augment unlabelled rows too")
    pair_mutation: bool = Field(
        False,
        description="The released slip: variants of B beside the last one of A; only with relu_logits, as in huawei.",
    )

    @field_validator("augmenters", mode="after")
    @classmethod
    def _known(cls, listed: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        return normal(listed)
