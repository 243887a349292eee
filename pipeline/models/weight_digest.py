"""A model that was read is known by the digest of its weights: a cache of what the model says is keyed by it.

The digest is taken while the model is as it was loaded.
"""

from typing import Any

import torch
from transformers import PreTrainedModel

from pipeline.store.fingerprint import canonical, digest_bytes


def digest_encoder(model: PreTrainedModel) -> str:
    """Digest of an encoder's configuration and of every tensor of its weights, the head not counted.

    Call it before anything is done to the weights.

    Raises:
        TypeError: some layers are packed already, so their weights could not be seen.
    """
    shape = {name: value for name, value in model.config.to_dict().items() if not name.startswith("_")}
    tensors = {name: _digest_tensor(tensor) for name, tensor in model.base_model.state_dict().items()}
    return digest_bytes(canonical([type(model.base_model).__name__, repr(sorted(shape.items())), tensors]))


def _digest_tensor(tensor: torch.Tensor) -> list[Any]:
    flat = tensor.detach().cpu().contiguous().flatten()
    return [str(tensor.dtype), list(tensor.shape), digest_bytes(flat.view(torch.uint8).numpy().tobytes())]
