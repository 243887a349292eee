"""A classifier as one ONNX file: number of rows and of word pieces are free, and the same model gives the same bytes.

Transformers' exporter writes into every node where in the source code it came from. That is taken out: it named the
folders of the machine, so that the bytes depended on them, and made a small file twice as large.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx_ir
import torch
from transformers import PreTrainedModel
from transformers.exporters.configs import ExportFormat, OnnxConfig
from transformers.exporters.exporter_onnx import OnnxExporter
from transformers.exporters.quantizers.quantizer_onnxruntime import OnnxRuntimeDynamicConfig, OnnxRuntimeQuantizer

from pipeline.errors import ModelError

OPSET = 18
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SAMPLE_ROWS, SAMPLE_LENGTH = 2, 8  # one row alone would fix the number of rows at one
NOISY = ("torch", "torch.onnx", "torch.export", "onnxscript", "onnx_ir", "transformers", "onnxruntime")


def build_onnx(model: PreTrainedModel, inputs: Sequence[str], positions: float) -> onnx_ir.Model:
    """A classifier as an ONNX graph in float32.

    Args:
        model: on the CPU; is put into evaluation mode.
        inputs: names of the inputs, as the tokenizer calls them; each is (rows, word pieces), int64.
        positions: word pieces that the model has positions for; infinite for a model without a table of them.

    Returns:
        A graph with the output ``logits``, (rows, outputs), float32.

    Raises:
        ModelError: the model has no ONNX form.
    """
    model.eval()
    rows = torch.export.Dim("rows")
    pieces = torch.export.Dim("pieces") if positions == float("inf") else torch.export.Dim("pieces", max=int(positions))
    sample = _sample(inputs)
    shapes = {name: {0: rows, 1: pieces} for name in inputs}
    try:
        with quiet():
            done = OnnxExporter().export(
                model, dict(sample), OnnxConfig(dynamic=True, dynamic_shapes=shapes, opset_version=OPSET)
            )
    except Exception as error:  # whatever a tracer meets in a model it does not know
        raise ModelError(
            f"{type(model).__name__} has no ONNX form ({_first_line(error)}): choose a student of a family that has, "
            "such as BERT, or predict with --engine torch"
        ) from error
    return _cleaned(done.program)


def quantize(graph: onnx_ir.Model, inputs: Sequence[str], *, reduce_range: bool) -> onnx_ir.Model:
    """The graph with int8 weights, a scale for each output channel; activations are quantised as they come.

    Args:
        graph: in float32; stays as it is.
        inputs: names of its inputs.
        reduce_range: use seven bits, for processors without VNNI, where eight overflow.
    """
    settings = OnnxRuntimeDynamicConfig(per_channel=True, reduce_range=reduce_range)
    with quiet():
        found = OnnxRuntimeQuantizer(settings).quantize(graph, _sample(inputs), ExportFormat.ONNX)
    return _cleaned(found)


def save_onnx(graph: onnx_ir.Model, path: Path) -> None:
    """Write a graph and its weights into one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx_ir.save(graph, path)


def _sample(inputs: Sequence[str]) -> dict[str, torch.Tensor]:
    """Two rows of different lengths, so that neither size is taken for a constant."""
    ids = torch.arange(SAMPLE_ROWS * SAMPLE_LENGTH).reshape(SAMPLE_ROWS, SAMPLE_LENGTH) % SAMPLE_LENGTH
    mask = torch.ones_like(ids)
    mask[1, SAMPLE_LENGTH // 2 :] = 0
    values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    return {name: values[name] for name in inputs}


def _cleaned(graph: onnx_ir.Model) -> onnx_ir.Model:
    """The graph without notes about the machine that it was made on, its free sizes named."""
    outer = graph.graph
    holders: list[Any] = [graph, *graph.graphs(), *graph.functions.values()]
    nodes = [node for holder in holders[1:] for node in holder]
    values = [*outer.inputs, *outer.initializers.values(), *(value for node in nodes for value in node.outputs)]
    for one in (*holders, *nodes, *values):
        one.metadata_props.clear()
        one.doc_string = None
    for value in (*outer.inputs, *outer.outputs):
        if value.shape is not None:
            sizes: list[Any] = list(value.shape)
            sizes[0] = "rows"
            if value in outer.inputs:
                sizes[1] = "pieces"
            value.shape = onnx_ir.Shape(sizes)
    return graph


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing of what the exporter and the quantiser print reaches the user: not to stdout, a log, or as a warning."""
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in NOISY)]
    before = [(one, one.level, one.disabled) for one in loggers]
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
            with contextlib.redirect_stdout(nowhere):
                yield
    finally:
        logging.disable(logging.NOTSET)
        for one, level, disabled in before:
            one.setLevel(level)
            one.disabled = disabled


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
