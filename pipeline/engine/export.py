"""The work of stage ``export``: write the ONNX files of a model, measure them on the dev rows, seal the bundle.

What is measured is the whole way of an answer: the reference reads the dev rows as the evaluation does, in torch; an
ONNX file reads their texts through the bundle's own tokenizer.
"""

import math
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from pipeline.config.export import ExportConfig
from pipeline.data.tasks.table import TaskData, load_task
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.inference import predict_logits, predicted_labels
from pipeline.engine.rows import Tokenizer, write_rows
from pipeline.engine.scoring import scoring
from pipeline.engine.student_models import output_names
from pipeline.errors import ModelError
from pipeline.evaluation.latency import longest_input
from pipeline.evaluation.metrics import bootstrap_difference, compute_metrics, main_metric
from pipeline.export.answers import score_rows
from pipeline.export.bundle import (
    COPIED,
    FILES,
    FLOAT32,
    INT8,
    README,
    Bundle,
    OpenBundle,
    Parity,
    record_files,
    write_bundle,
)
from pipeline.export.onnx_file import INPUTS, OPSET, build_onnx, quantize, save_onnx
from pipeline.export.onnx_scorer import OnnxScorer
from pipeline.export.parity import correlation, largest_difference, share_of_equal_labels, shortfall
from pipeline.export.scorer import Row
from pipeline.export.usage import usage
from pipeline.models.load import load_finetuned
from pipeline.models.released import has_relu
from pipeline.models.source import ModelSource
from pipeline.store.stage import StageRun


def run(run: StageRun, *, export: ExportConfig, folder: str, seed: int) -> None:
    """Fill the output with the bundle of one model; the arguments are those of ``ExportStage``.

    Raises:
        ModelError: the model has no ONNX form, or its float32 file is below the floor.
    """
    source, task = run.artifact("model") / folder, load_task(run.artifact("task_data"))
    tokenizer = load_tokenizer(str(source))
    model = load_finetuned(ModelSource(str(source)))
    reference = _reference(model, task, tokenizer, run)
    inputs = [name for name in INPUTS if name in tokenizer.model_input_names]
    for name in COPIED:
        shutil.copyfile(source / name, run.output / name)
    bundle = Bundle(
        name=source.name,
        task=task.name,
        kind=task.kind,
        labels=output_names(task),
        pair=task.pair,
        max_length=task.max_length,
        inputs=tuple(inputs),
        pad_id=int(tokenizer.pad_token_id),
        opset=OPSET,
        relu_logits=has_relu(model.config),
        parity={},
        refused={},
        files=record_files(run.output, COPIED),
    )
    graph = build_onnx(model, inputs, longest_input(model))
    save_onnx(graph, run.output / FILES[FLOAT32])
    bundle = _measured(bundle, FLOAT32, export.min_parity, task, reference, run, (export.bootstrap, seed))
    if FLOAT32 in bundle.refused:
        raise ModelError(
            f"the ONNX file of {bundle.name} is not the model: {bundle.refused[FLOAT32]} (export.min_parity)"
        )
    if export.int8:
        save_onnx(quantize(graph, inputs, reduce_range=export.reduce_range), run.output / FILES[INT8])
        bundle = _measured(bundle, INT8, export.min_parity_int8, task, reference, run, (export.bootstrap, seed))
        if INT8 in bundle.refused:
            (run.output / FILES[INT8]).unlink()
            run.progress.note(f"warning: {bundle.name} has no int8 file: {bundle.refused[INT8]} (min_parity_int8)")
    (run.output / README).write_text(usage(bundle), encoding="utf-8")
    write_bundle(run.output, bundle.model_copy(update={"files": bundle.files | record_files(run.output, [README])}))
    run.record(
        name=bundle.name,
        parity={name: parity.model_dump(mode="json") for name, parity in bundle.parity.items()},
        refused=bundle.refused,
        bytes={name: bundle.files[FILES[name]].size for name in bundle.parity},
    )


def _reference(model: PreTrainedModel, task: TaskData, tokenizer: Tokenizer, run: StageRun) -> NDArray[np.float32]:
    """Logits of the dev rows in torch, (rows, outputs), read as the evaluation reads them."""
    table = write_rows(
        run.scratch / "dev", [task.splits["dev"]], tokenizer, max_length=task.max_length, progress=run.progress
    )
    return predict_logits(model, table, pad_id=tokenizer.pad_token_id)


def _measured(
    bundle: Bundle,
    variant: str,
    floor: float,
    task: TaskData,
    reference: NDArray[np.float32],
    run: StageRun,
    resampling: tuple[int, int],
) -> Bundle:
    """The bundle with the parity of one more variant, or with the reason why it is refused."""
    path = FILES[variant]
    found = _score_dev(OpenBundle(run.output, bundle), run.output / path, task)
    parity = compare(task, reference, found, resampling)
    reason = shortfall(parity, floor)
    if reason is not None:
        return bundle.model_copy(update={"refused": {**bundle.refused, variant: reason}})
    return bundle.model_copy(
        update={
            "files": bundle.files | record_files(run.output, [path]),
            "parity": {**bundle.parity, variant: parity},
        }
    )


def _score_dev(bundle: OpenBundle, model: Path, task: TaskData) -> NDArray[np.float32]:
    """Logits of the dev rows through an ONNX file and the bundle's tokenizer, (rows, outputs)."""
    scorer, dev = OnnxScorer(bundle, model, num_threads=1), task.splits["dev"]
    texts = dev["text"].to_pylist()
    pairs = dev["text_pair"].to_pylist() if task.pair else [None] * len(texts)
    return score_rows(scorer, scorer.encode([Row(*row) for row in zip(texts, pairs, strict=True)]))


def compare(
    task: TaskData, reference: NDArray[np.float32], found: NDArray[np.float32], resampling: tuple[int, int]
) -> Parity:
    """The parity of two models' logits of the dev rows.

    Args:
        task: with the labels of the rows.
        reference: of the model, (rows, outputs).
        found: of its ONNX file, (rows, outputs).
        resampling: bootstrap resamples, and their seed.

    Raises:
        ModelError: a logit of the ONNX file is not finite.
    """
    if not np.isfinite(found).all():
        broken = math.prod(found.shape) - int(np.isfinite(found).sum())
        raise ModelError(f"{broken} logits of the ONNX file are not finite: train the student anew")
    labels, way, metric = task.splits["dev"]["label"].to_numpy(), scoring(task), main_metric(task.metric)
    of_model, of_file = predicted_labels(task, reference), predicted_labels(task, found)
    regression = task.kind == "regression"
    return Parity(
        rows=len(labels),
        largest_logit_difference=largest_difference(reference, found),
        equal_labels=None if regression else share_of_equal_labels(reference, found),
        correlation=correlation(reference, found) if regression else None,
        metric=metric,
        model_score=compute_metrics(way, of_model, labels)[metric],
        score=compute_metrics(way, of_file, labels)[metric],
        difference=bootstrap_difference(way, of_file, of_model, labels, *resampling),
    )
