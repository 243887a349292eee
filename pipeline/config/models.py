"""Configuration of teacher, pretraining and students."""

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from pipeline.config.base import Config
from pipeline.config.training import TrainingConfig

_NEAR = 50  # heads; nobody has many more


def heads_misfit(hidden: int, heads: int) -> str:
    """Return how to mend a width that its heads do not divide: the nearest widths and head counts."""
    below = hidden // heads * heads
    widths = " or ".join(str(width) for width in (below, below + heads) if width)
    fewer = next((count for count in range(heads - 1, max(0, heads - _NEAR), -1) if hidden % count == 0), None)
    more = next((count for count in range(heads + 1, heads + _NEAR) if hidden % count == 0), None)
    counts = " or ".join(str(count) for count in (fewer, more) if count)
    return f"choose hidden {widths}" + (f", or {counts} heads" if counts else "")


class Shape(Config):
    """Layers, width, heads and feed-forward width of a Transformer encoder."""

    layers: PositiveInt = Field(title="Layers")
    hidden: PositiveInt = Field(title="Width")
    heads: PositiveInt = Field(title="Attention heads")
    intermediate: PositiveInt = Field(title="Feed-forward width")

    @model_validator(mode="after")
    def _heads_divide(self) -> "Shape":
        if self.hidden % self.heads:
            way_out = heads_misfit(self.hidden, self.heads)
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}: {way_out}")
        return self


PRESETS = {
    "tinybert-4l-312d": Shape(layers=4, hidden=312, heads=12, intermediate=1200),
    "tinybert-6l-768d": Shape(layers=6, hidden=768, heads=12, intermediate=3072),
}


USUAL_DROPOUT = 0.1


class TeacherConfig(Config):
    """The teacher: a pretrained encoder, and how it learns the task."""

    model: str | None = Field(
        None, title="Teacher", description="Folder or hub id of a pretrained encoder; empty when pretrained here."
    )
    revision: str = Field("main", title="Revision on the hub")
    finetune: TrainingConfig | None = Field(
        TrainingConfig(), title="Fine-tuning", description="Empty when the teacher already knows the task."
    )
    restarts: PositiveInt = Field(1, title="Seeds to try", description="The best on the dev set is kept.")


class PretrainConfig(Config):
    """A masked language model on the corpus: from nothing, continued, or only a head on a frozen encoder."""

    mode: Literal["scratch", "continue", "mlm_head"] = Field(
        title="Pretrain", description="From nothing, the teacher continued, or a head on the frozen teacher."
    )
    architecture: Shape | None = Field(None, title="Architecture", description="Given when mode is scratch.")
    max_length: PositiveInt = Field(512, title="Positions of a model built from nothing")
    mask_probability: float = Field(0.15, gt=0, lt=1, title="Share of masked word pieces")
    dropout: float = Field(0.1, ge=0, lt=1, title="Dropout while pretraining")
    training: TrainingConfig = TrainingConfig(learning_rate=5e-4, max_tokens=8192, epochs=1)

    @model_validator(mode="after")
    def _architecture(self) -> "PretrainConfig":
        if (self.mode == "scratch") != (self.architecture is not None):
            raise ValueError(f"pretrain.mode is {self.mode!r}: an architecture is given exactly when mode is 'scratch'")
        return self


STARTS = ("auto", "general", "random", "teacher", "pretrained")  # anything else is a model of the user's
CUT_STARTS = ("teacher", "pretrained")


class StudentConfig(Config):
    """One student: a name, a shape, and what it starts from."""

    name: str = Field("student", pattern=r"^[a-z0-9][a-z0-9_.-]*$", title="Name")
    preset: Literal["tinybert-4l-312d", "tinybert-6l-768d"] | None = Field(
        None, title="Shape by name", description="Or layers and hidden."
    )
    layers: PositiveInt | None = Field(None, title="Layers")
    hidden: PositiveInt | None = Field(None, title="Width")
    heads: PositiveInt | None = Field(None, title="Attention heads", description="The teacher's when empty.")
    intermediate: PositiveInt | None = Field(
        None, title="Feed-forward width", description="Four times hidden when empty."
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, title="Dropout", description="When empty: of the model it starts from, 0.1 otherwise."
    )
    start: str = Field(
        "auto",
        title="Start from",
        description="general (distilled), teacher (cut out of the fine-tuned teacher), pretrained (cut out of the "
        "pretrained teacher), random, or a folder or hub id; auto: general where there is a corpus, else teacher.",
    )
    take: Literal["uniform", "every_second", "first", "last"] | tuple[PositiveInt, ...] | None = Field(
        None,
        title="Layers to take",
        description="Teacher layers that a student is cut out of; those of the layer map when empty.",
    )
    layer_map: Literal["uniform", "top", "bottom"] | tuple[PositiveInt, ...] = Field(
        "uniform", title="Layer map", description="g(1)..g(M): the teacher layer each student layer imitates."
    )

    @model_validator(mode="after")
    def _shape(self) -> "StudentConfig":
        parts = (self.layers, self.hidden)
        if self.preset and any((*parts, self.heads, self.intermediate)):
            msg = f"student {self.name!r} has preset {self.preset!r} and a shape of its own: give one of them"
            raise ValueError(msg)
        if not self.preset and self.start in STARTS and not all(parts):
            msg = f"student {self.name!r} has no shape: give a preset ({', '.join(PRESETS)}) or layers and hidden"
            raise ValueError(msg)
        if self.hidden and self.heads and self.hidden % self.heads:
            way_out = heads_misfit(self.hidden, self.heads)
            msg = f"student {self.name!r} is {self.hidden} wide, not a multiple of its {self.heads} heads: {way_out}"
            raise ValueError(msg)
        return self

    @property
    def learns_general(self) -> bool:
        """Whether general distillation trains it, if the run has that."""
        return self.start in ("general", "pretrained")
