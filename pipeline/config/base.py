"""The base of all parts of a configuration: frozen, no unknown keys, no conversion between types."""

from pydantic import BaseModel, ConfigDict, field_validator

IDENTITY = "identity"
"""Key of a serialization context: the output is fingerprinted, so it has to include the versions of the code."""


class Config(BaseModel):
    """A frozen part of a configuration; an unknown key or a value of another type is an error.

    ``true`` is no number and ``'3'`` is text, but a whole number is accepted as a number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    @field_validator("*", mode="before")
    @classmethod
    def _frozen(cls, value: object) -> object:
        # YAML has lists only
        return tuple(value) if isinstance(value, list) else value
