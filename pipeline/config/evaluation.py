"""What is measured at the end, and against whom."""

from pydantic import Field, PositiveInt

from pipeline.config.base import Config
from pipeline.config.training import TrainingConfig


class EvaluationConfig(Config):
    """Metrics with confidence intervals, size and latency of every model, side by side."""

    label_only: TrainingConfig | None = Field(
        TrainingConfig(learning_rate=5e-4, epochs=5),
        title="Label-only student",
        description="A same-size student trained on the labels alone; the yardstick of distillation.",
    )
    tfidf: bool = Field(False, title="TF-IDF baseline", description="Logistic regression on word counts.")
    bootstrap: PositiveInt = Field(1000, title="Bootstrap resamples")
    latency_lengths: tuple[PositiveInt, ...] = Field((16, 64, 128), min_length=1, title="Latency at these lengths")
    latency_batches: tuple[PositiveInt, ...] = Field((1, 32), min_length=1, title="Latency at these batch sizes")
