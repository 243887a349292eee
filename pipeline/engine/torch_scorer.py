"""The model of a bundle in torch: slower to start than ONNX Runtime, and what its files are compared with."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.export.bundle import Bundle, OpenBundle
from pipeline.export.scorer import Encoded, Row, RowTokenizer, padded
from pipeline.models.load import load_finetuned
from pipeline.models.released import relu_before_classifier
from pipeline.models.source import ModelSource


class TorchScorer:
    """The weights of a bundle, ready to answer on the CPU.

    Args:
        bundle: where the weights are.
        num_threads: that a forward pass computes with; None leaves torch's number.

    Raises:
        ModelError: the weights are missing, were changed, or cannot be loaded.
    """

    def __init__(self, bundle: OpenBundle, num_threads: int | None = None) -> None:
        for name in ("config.json", "model.safetensors"):
            bundle.file(name)
        if num_threads:
            torch.set_num_threads(num_threads)
        self._bundle = bundle.facts
        self._tokenizer = RowTokenizer(bundle)
        self._model = load_finetuned(ModelSource(str(bundle.folder))).eval()
        if bundle.facts.relu_logits:
            relu_before_classifier(self._model)

    @property
    def bundle(self) -> Bundle:
        """What the model is for."""
        return self._bundle

    def encode(self, rows: Sequence[Row]) -> list[Encoded]:
        """The rows in word pieces."""
        return self._tokenizer.encode(rows)

    def logits(self, rows: Sequence[Encoded]) -> NDArray[np.float32]:
        """(rows, outputs), one forward pass."""
        inputs = {name: torch.from_numpy(array) for name, array in padded(rows, self._bundle).items()}
        with torch.inference_mode():
            return np.asarray(self._model(**inputs).logits.float().numpy(), np.float32)
