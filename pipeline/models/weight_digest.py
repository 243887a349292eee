"""Identify a loaded model by a digest of its weights, which is part of the key of a feature cache."""

from typing import Any

import torch
from transformers import PreTrainedModel

from pipeline.store.fingerprint import canonical, digest_bytes


def digest_encoder(model: PreTrainedModel) -> str:
    """Return a digest of an encoder's configuration and of all its weights, without those of a head.

    It has to be called before the weights are converted or packed.

    Raises:
        TypeError: some layers are packed already, so that their weights cannot be read.
    """
    shape = {name: value for name, value in model.config.to_dict().items() if not name.startswith("_")}
    tensors = {name: _digest_tensor(tensor) for name, tensor in model.base_model.state_dict().items()}
    return digest_bytes(canonical([type(model.base_model).__name__, repr(sorted(shape.items())), tensors]))


def _digest_tensor(tensor: torch.Tensor) -> list[Any]:
    flat = tensor.detach().cpu().contiguous().flatten()
    return [str(tensor.dtype), list(tensor.shape), digest_bytes(flat.view(torch.uint8).numpy().tobytes())]
