"""A bundle through ONNX Runtime: an answer half a second after the start, without torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.export.bundle import Bundle, OpenBundle
from pipeline.export.scorer import Encoded, Row, RowTokenizer, padded


class OnnxScorer:
    """One ONNX file of a bundle, ready to answer.

    Args:
        bundle: what the model is for, and its tokenizer.
        model: path of the ONNX file, usually ``bundle.variant(...)``.
        num_threads: that a forward pass computes with; None takes all cores.

    Raises:
        ModelError: the file cannot be run here, or the tokenizer was changed.
    """

    def __init__(self, bundle: OpenBundle, model: Path, num_threads: int | None = None) -> None:
        self._bundle = bundle.facts
        self._tokenizer = RowTokenizer(bundle)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.intra_op_num_threads = num_threads or 0
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library has an exception for each of its states
            raise ModelError(f"ONNX Runtime cannot open {model} ({_first_line(error)}): export it again") from error

    @property
    def bundle(self) -> Bundle:
        """What the model is for."""
        return self._bundle

    def encode(self, rows: Sequence[Row]) -> list[Encoded]:
        """The rows in word pieces."""
        return self._tokenizer.encode(rows)

    def logits(self, rows: Sequence[Encoded]) -> NDArray[np.float32]:
        """(rows, outputs), one forward pass; safe to call from several threads."""
        return self.run(padded(rows, self._bundle))

    def run(self, inputs: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """(rows, outputs) for inputs by name, each (rows, word pieces)."""
        (found,) = self._session.run(["logits"], inputs)
        return np.asarray(found, np.float32)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
