"""Compile a module's forward and backward pass into a few fused kernels; the results stay the same.

One graph serves all shapes: rows and length are symbols in it, so batches of a token budget, which rarely repeat a
shape, are not compiled again and again. Dropout draws the same numbers as without compiling.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from pipeline.models.taps import encode

Backend = str | Callable[..., Any]
GRAPHS = 64  # of one function: each model, its training and evaluation, a single row


def compile_encoder(model: PreTrainedModel, *, backend: Backend = "inductor") -> None:
    """Compile the encoder of a model in place, with or without taps; parameters and their names do not change."""
    encoder = cast("PreTrainedModel", model.base_model)
    was_training = encoder.training
    encoder.eval()
    # The library hooks up what reads hidden states in the first pass, under a lock that no graph can hold;
    # autocast, since a frozen teacher's weights may be in half precision.
    two = torch.ones((1, 2), dtype=torch.long, device=encoder.device)
    with torch.no_grad(), torch.autocast(two.device.type, torch.bfloat16):
        encode(encoder, {"input_ids": two, "attention_mask": two.bool()}, output_hidden_states=[0])
    encoder.train(was_training)
    compile_module(encoder, backend=backend)


def compile_module(module: nn.Module, *, backend: Backend = "inductor") -> None:
    """Compile a module's forward pass in place, as one graph for all shapes.

    This changes torch's settings for the whole process: numbers such as a layer norm's epsilon become constants of the
    graph, and torch's limit of graphs holds for all models that share their code together.

    Args:
        module: the module.
        backend: backend of ``torch.compile``.
    """
    from torch._dynamo import config

    config.specialize_float, config.recompile_limit = True, GRAPHS
    options = {"fallback_random": True} if backend == "inductor" else None
    module.compile(fullgraph=True, dynamic=True, backend=backend, options=options)
