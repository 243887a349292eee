"""What the student imitates, and how the imitation is measured."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from pipeline.config.base import Config
from pipeline.config.training import TrainingConfig
from pipeline.errors import ModelError


class Terms(Config):
    """The weighted terms of the Transformer losses (Jiao et al. 2020, equations 7 to 9)."""

    embedding: NonNegativeFloat = Field(1.0, title="Embedding loss")
    hidden: NonNegativeFloat = Field(1.0, title="Hidden-state loss")
    attention: NonNegativeFloat = Field(1.0, title="Attention-score loss")
    projection: Literal["separate", "shared"] = Field(
        "separate", description="W_e and W_h apart (the paper) or one for both (the released code)."
    )
    padding: Literal["excluded", "included"] = Field(
        "excluded", description="Whether padding counts in the means (the released code counts it)."
    )


def check_any_term(terms: Terms) -> None:
    """Refuse to imitate nothing.

    Raises:
        ModelError: every weight is 0.
    """
    if not (terms.embedding or terms.hidden or terms.attention):
        raise ModelError("every weight in terms is 0, so nothing is imitated: give one of them a weight")


class GeneralDistillationConfig(Config):
    """Stage one: the pretrained teacher is imitated on the corpus; no prediction loss."""

    terms: Terms = Terms()
    training: TrainingConfig = TrainingConfig(learning_rate=1e-4, batch_size=256, epochs=3)


class IntermediateConfig(Config):
    """Stage two, phase one: the fine-tuned teacher's layers are imitated on the augmented rows."""

    terms: Terms = Terms()
    teacher_dropout: bool = Field(False, description="The released code leaves the teacher's dropout on.")
    training: TrainingConfig = TrainingConfig(learning_rate=5e-5, epochs=20)


class PredictionConfig(Config):
    """Stage two, phase two: the teacher's logits are imitated."""

    temperature: PositiveFloat = Field(1.0, title="Temperature", description="1 was best in the paper.")
    targets: Literal["teacher", "labels"] = Field(
        "teacher", description="'labels' fits the gold labels of the original rows (released code on STS-B)."
    )
    reduction: Literal["rows", "elements"] = Field(
        "rows", description="'elements' averages the soft cross-entropy over classes too (released code)."
    )
    augmented: bool = Field(True, title="Use the augmented rows", description="The paper: not on STS-B.")
    evaluations_per_epoch: float = Field(1, gt=0, title="Dev-set evaluations an epoch")
    training: TrainingConfig = TrainingConfig(learning_rate=3e-5, epochs=3)
