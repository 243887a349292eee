"""How a finished student leaves the store, and how near its ONNX files must be to it."""

from pydantic import Field

from pipeline.config.base import Config


class ExportConfig(Config):
    """ONNX files of a student, measured on the dev rows before they may leave."""

    int8: bool = Field(True, title="int8", description="Also an int8 file, a scale for each output channel.")
    reduce_range: bool = Field(
        False, title="Seven bits", description="For processors without VNNI, where eight bits overflow."
    )
    min_parity: float = Field(
        0.999,
        ge=0,
        le=1,
        title="Floor of float32",
        description="Smallest share of dev rows with the student's label (a score: smallest correlation).",
    )
    min_parity_int8: float = Field(
        0.95, ge=0, le=1, title="Floor of int8", description="As min_parity; below it there is no int8 file."
    )
    bootstrap: int = Field(1000, ge=1, title="Bootstrap resamples")
