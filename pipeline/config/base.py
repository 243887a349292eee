"""What every part of a configuration has in common: frozen, closed to unknown keys, no type taken for another."""

from pydantic import BaseModel, ConfigDict, field_validator

IDENTITY = "identity"
"""Key of a serialization context: what is written is fingerprinted, so versions of code that matter belong to it."""


class Config(BaseModel):
    """A frozen piece of configuration; an unknown key or another type is an error, not a surprise.

    ``true`` is no number and ``'3'`` is text; a whole number will do where a number is expected.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    @field_validator("*", mode="before")
    @classmethod
    def _frozen(cls, value: object) -> object:
        # YAML has lists only
        return tuple(value) if isinstance(value, list) else value
