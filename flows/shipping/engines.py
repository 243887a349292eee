"""The engine that answers: ONNX Runtime, or torch; only the one that was chosen is imported."""

from flows.later import Later
from pipeline.errors import ConfigError
from pipeline.export.bundle import OpenBundle
from pipeline.export.requirements import TO_ANSWER, require
from pipeline.export.scorer import Scorer

ENGINES = ("onnx", "torch")
onnx_scorer = Later("pipeline.export.onnx_scorer:OnnxScorer")
torch_scorer = Later("pipeline.engine.torch_scorer:TorchScorer")


def open_scorer(bundle: OpenBundle, engine: str, variant: str, threads: int | None) -> Scorer:
    """The model of a bundle, ready to answer.

    Args:
        bundle: where it is.
        engine: ``onnx`` or ``torch``.
        variant: of the ONNX files, ``float32`` or ``int8``.
        threads: that a forward pass computes with; None leaves it to the engine.

    Raises:
        ConfigError: there is no such engine, it has no such variant, or ONNX Runtime is not installed.
    """
    if engine not in ENGINES:
        raise ConfigError(f"--engine {engine!r} is unknown: choose {' or '.join(ENGINES)}")
    if engine == "torch":
        if variant != "float32":
            raise ConfigError(f"--variant {variant} is an ONNX file: leave out --engine torch")
        in_torch: Scorer = torch_scorer(bundle, threads)
        return in_torch
    require(*TO_ANSWER)
    in_onnx: Scorer = onnx_scorer(bundle, bundle.variant(variant), threads)
    return in_onnx
