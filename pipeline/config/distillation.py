"""General distillation and the phases of task distillation: which terms, on which rows, for how long."""

from pydantic import Field

from pipeline.config.base import Config
from pipeline.config.terms import AttentionTerm, EmbeddingTerm, HiddenTerm, SoftTerm, Terms
from pipeline.config.training import TrainingConfig

TRANSFORMER_LAYERS = Terms(embedding=EmbeddingTerm(), hidden=HiddenTerm(), attention=AttentionTerm())


class GeneralDistillationConfig(Config):
    """Stage one: the pretrained teacher is imitated on the corpus; no prediction loss."""

    terms: Terms = TRANSFORMER_LAYERS
    training: TrainingConfig = TrainingConfig(learning_rate=1e-4, batch_size=256, epochs=3)


class PhaseConfig(Config):
    """A phase of task distillation: students learn the terms from the fine-tuned teacher and the labels."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", title="Name")
    terms: Terms
    augmented: bool = Field(True, title="Use the augmented rows", description="The paper: not for prediction on STS-B.")
    teacher_dropout: bool = Field(
        False, description="The released code leaves the teacher's dropout on while its layers are imitated."
    )
    fit_head: bool = Field(
        False, title="Fit the head", description="At its end, to the teacher's logits, in closed form."
    )
    evaluations_per_epoch: float = Field(
        1, gt=0, title="Dev-set evaluations an epoch", description="Of phases that train outputs; the best is kept."
    )
    training: TrainingConfig = TrainingConfig()


# TinyBERT's two phases. The rates are for students that start from their teacher or from general distillation, on tasks
# of a thousand rows and more (benchmarks/RESULTS.md); the paper's own are in the recipe tinybert.
TWO_PHASES = (
    PhaseConfig(
        name="intermediate",
        terms=TRANSFORMER_LAYERS,
        fit_head=True,
        training=TrainingConfig(learning_rate=5e-4, epochs=5),
    ),
    PhaseConfig(name="prediction", terms=Terms(soft=SoftTerm()), training=TrainingConfig(learning_rate=1e-4, epochs=3)),
)
