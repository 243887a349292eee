"""Optimisation: how long, how fast, in what batches. The same for fine-tuning and distillation."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from pipeline.config.base import Config


class TrainingConfig(Config):
    """One optimisation run: AdamW, a warmed-up schedule, length-bucketed batches."""

    epochs: PositiveInt = Field(3, title="Passes over the rows")
    max_steps: PositiveInt | None = Field(None, title="Stop after this many steps")
    learning_rate: PositiveFloat = Field(5e-5, title="Peak learning rate")
    batch_size: PositiveInt = Field(32, title="Rows a step")
    max_tokens: PositiveInt | None = Field(
        None, title="Tokens a step", description="Fills batches by tokens instead of rows."
    )
    padding: Literal["longest", "max_length"] = Field("longest", title="Pad to")
    drop_last: bool = Field(False, title="Drop the incomplete last batch")
    gradient_accumulation: PositiveInt = Field(1, title="Batches a step")
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", title="Decay of the learning rate")
    warmup: float = Field(0.1, ge=0, le=1, title="Share of the steps that warm up")
    weight_decay: NonNegativeFloat = Field(0.01, title="Weight decay")
    max_grad_norm: PositiveFloat = Field(1.0, title="Clip gradients at this norm")
