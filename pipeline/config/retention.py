"""What a store keeps when it is pruned; tagged artifacts are always kept."""

from pydantic import Field, NonNegativeFloat, PositiveInt

from pipeline.config.base import Config


class Retention(Config):
    """How many versions stay, and for how long what was left behind."""

    keep: PositiveInt = Field(
        3, title="Versions kept", description="Of each stage; tagged ones and what they need stay."
    )
    days: NonNegativeFloat = Field(
        7.0,
        title="Days kept",
        description="How long abandoned work, teacher features and damaged artifacts stay after their last change.",
    )
