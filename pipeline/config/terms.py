"""The terms of a loss as a user writes them: a name and a weight, or a name and a section of options.

``{attention: 1, soft: {weight: 0.9, temperature: 4}}``. The name is the kind of term; several terms of one kind have
names of their own and say ``term: KIND``. A weight of 0, or null, takes a term out.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from pipeline.config.base import IDENTITY, Config
from pipeline.errors import ModelError
from pipeline.features import What


class Schedule(Config):
    """A number that moves while a phase is trained."""

    start: NonNegativeFloat = Field(title="At the beginning")
    end: NonNegativeFloat = Field(title="At the end")
    shape: Literal["linear", "cosine"] = Field("linear", title="Way from one to the other")
    over: tuple[float, float] = Field(
        (0.0, 1.0),
        title="Part of the phase",
        description="It moves between these shares of the steps; constant beside.",
    )

    @field_validator("over", mode="after")
    @classmethod
    def _a_part(cls, over: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= over[0] < over[1] <= 1:
            raise ValueError(f"over is [{over[0]:g}, {over[1]:g}], expected two shares of the steps, such as [0, 0.5]")
        return over


class TermOptions(Config):
    """What every kind of term takes.

    Attributes:
        KIND: the name by which a user asks for it.
        VERSION: of its code; raise it when the same options would give another loss.
        READS: what it reads of the teacher: its layers, its outputs, or nothing where gold labels teach.
        SHOWN: what it asks a student to show.
    """

    KIND: ClassVar[str]
    VERSION: ClassVar[int] = 1
    READS: ClassVar[Literal["layers", "outputs", "labels"]]
    SHOWN: ClassVar[tuple[What, ...]]

    weight: NonNegativeFloat | Schedule = Field(1.0, title="Weight")


class LayerTerm(TermOptions):
    """A term on the tokens of the teacher's layers."""

    READS = "layers"

    count_padding: bool = Field(
        False, title="Count padding", description="Padding counts in the mean (the released code counts it)."
    )


class EmbeddingTerm(LayerTerm):
    """Squared error of the embedding layers' outputs (Jiao et al. 2020, equation 9)."""

    KIND, SHOWN = "embedding", ("embedding",)

    projection: Literal["linear", "shared"] = Field(
        "linear", description="W_e of its own (the paper), or shared: that of the term hidden (the released code)."
    )


class HiddenTerm(LayerTerm):
    """Squared error of the mapped hidden states (Jiao et al. 2020, equation 8)."""

    KIND, SHOWN = "hidden", ("hidden",)


class AttentionTerm(LayerTerm):
    """Squared error of the mapped attention scores (Jiao et al. 2020, equation 7)."""

    KIND, SHOWN = "attention", ("query", "key")


class SoftTerm(TermOptions):
    """Cross-entropy with the teacher's softened distribution (Hinton et al. 2015; Jiao et al. 2020, equation 10)."""

    KIND, READS, SHOWN = "soft", "outputs", ("output",)

    temperature: PositiveFloat | Schedule = Field(1.0, title="Temperature", description="1 was best in TinyBERT.")
    squared_temperature: bool = Field(
        False, description="Multiply by t^2, so that gradients do not shrink as t grows (Hinton et al. 2015)."
    )
    mean_over_classes: bool = Field(False, description="Average over the classes too (TinyBERT's released code).")

    @field_validator("temperature", mode="after")
    @classmethod
    def _above_zero(cls, temperature: float | Schedule) -> float | Schedule:
        if isinstance(temperature, Schedule) and not (temperature.start and temperature.end):
            raise ValueError("a temperature of 0 divides by zero: let it move between numbers above 0")
        return temperature


class HardTerm(TermOptions):
    """Cross-entropy with the gold labels; rows without one add nothing."""

    KIND, READS, SHOWN = "hard", "labels", ("output",)


OF_THE_KIND = ("term", "version")  # what a stored term says beside its options
KINDS: Mapping[str, type[TermOptions]] = {
    kind.KIND: kind for kind in (EmbeddingTerm, HiddenTerm, AttentionTerm, SoftTerm, HardTerm)
}


def _section(value: object) -> object:
    """A weight alone as a section; a weight of 0 is no term at all."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = {"weight": value}
    if isinstance(value, Mapping):
        weight = value.get("weight")
        if isinstance(weight, int | float) and not isinstance(weight, bool) and weight == 0:
            return None
        return {key: part for key, part in value.items() if key not in OF_THE_KIND}
    return value


def _or_weight(kind: type[TermOptions]) -> BeforeValidator:
    """A term may be written as its weight alone, for readers of the schema too."""
    return BeforeValidator(_section, json_schema_input_type=kind | float | None)


class Terms(Config):
    """What a phase learns from: the weighted terms of its loss."""

    model_config = Config.model_config | {"extra": "allow"}

    embedding: Annotated[EmbeddingTerm | None, _or_weight(EmbeddingTerm)] = Field(None, title="Embedding loss")
    hidden: Annotated[HiddenTerm | None, _or_weight(HiddenTerm)] = Field(None, title="Hidden-state loss")
    attention: Annotated[AttentionTerm | None, _or_weight(AttentionTerm)] = Field(None, title="Attention-score loss")
    soft: Annotated[SoftTerm | None, _or_weight(SoftTerm)] = Field(None, title="Soft targets")
    hard: Annotated[HardTerm | None, _or_weight(HardTerm)] = Field(None, title="Gold labels")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        """Terms under names of their own, each read as the kind it says it is."""
        if not isinstance(value, Mapping):
            return value
        for name, part in value.items():
            if name in KINDS and isinstance(part, Mapping) and part.get("term", name) != name:
                raise ValueError(
                    f"{name} is of the term {part['term']!r}: a kind's name stands for itself, choose another"
                )
        return {name: part if name in KINDS else _read(str(name), part) for name, part in value.items()}

    @model_validator(mode="after")
    def _shares_what_is_there(self) -> "Terms":
        if self.embedding and self.embedding.projection == "shared" and not self.hidden:
            raise ValueError("embedding shares the projection of hidden, which is not there: give hidden a weight")
        return self

    @model_serializer(mode="wrap")
    def _those_there_are(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Without the kinds that are not used, so that a new kind is no other configuration.

        Where it is part of an identity the version of each term's code is beside its options.
        """
        plain, versions = handler(self), bool(info.context and info.context.get(IDENTITY))
        return {
            name: ({} if name in KINDS else {"term": term.KIND})
            | ({"version": term.VERSION} if versions else {})
            | plain[name]
            for name, term in self.named()
        }

    def named(self) -> Iterator[tuple[str, TermOptions]]:
        """The terms by name, in the order in which their losses are added up: kinds as listed, then names."""
        extra = self.__pydantic_extra__ or {}
        for kind in KINDS:
            usual = getattr(self, kind)
            if usual is not None:
                yield kind, usual
            yield from ((name, extra[name]) for name in sorted(extra) if extra[name] and kind == extra[name].KIND)

    def of(self, kind: type[TermOptions]) -> bool:
        """Whether there is a term of a kind."""
        return any(isinstance(term, kind) for _, term in self.named())

    def reads(self, what: Literal["layers", "outputs", "labels"]) -> bool:
        """Whether any term learns from the teacher's layers, from its outputs, or from gold labels."""
        return any(what == term.READS for _, term in self.named())

    @property
    def shown(self) -> frozenset[What]:
        """What the terms ask a student to show."""
        return frozenset(what for _, term in self.named() for what in term.SHOWN)

    @property
    def reads_rows(self) -> bool:
        """Whether any term learns outputs or labels of rows, so that a dev score means something."""
        return self.reads("outputs") or self.reads("labels")

    @property
    def gold_alone(self) -> bool:
        """Whether gold labels are all that is learned from, so that rows without one teach nothing."""
        return all(term.READS == "labels" for _, term in self.named())

    @property
    def counts_padding(self) -> bool:
        """Whether padding counts in any term's mean."""
        return any(isinstance(term, LayerTerm) and term.count_padding for _, term in self.named())


def _read(name: str, value: object) -> TermOptions | None:
    """A term under a name of its own."""
    if value is None or isinstance(value, TermOptions):
        return value
    kind = value.get("term") if isinstance(value, Mapping) else None
    if kind is None:
        near = difflib.get_close_matches(name, KINDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the terms are {', '.join(KINDS)}"
        raise ValueError(f"there is no term {name!r}: {hint}")
    if kind not in KINDS:
        raise ValueError(f"{name} is of the term {kind!r}: choose one of {', '.join(KINDS)}")
    options = _section(value)
    try:
        return None if options is None else KINDS[kind].model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, (name, *first['loc'])))}: {first['msg']}") from None


def check_any_term(terms: Terms) -> None:
    """Refuse to imitate nothing.

    Raises:
        ModelError: there is no term.
    """
    if not any(True for _ in terms.named()):
        raise ModelError("every weight in terms is 0, so nothing is imitated: give one of them a weight")
