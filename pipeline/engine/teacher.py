"""Fine-tuning the teacher on the downstream task, from several seeds of which the best is kept."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from pipeline.config.precision import Precision
from pipeline.config.training import TrainingConfig
from pipeline.data.tasks.labels import align_labels
from pipeline.data.tasks.table import TaskData, load_task
from pipeline.data.tokens.tokenizer import check_vocabulary, load_tokenizer
from pipeline.engine.compatibility import check_positions
from pipeline.engine.distil import distil
from pipeline.engine.inference import dev_scorer
from pipeline.engine.inputs import model_input
from pipeline.engine.learner import Learner
from pipeline.engine.objectives import from_labels
from pipeline.engine.refusals import check_one_output, refuse_multi_label
from pipeline.engine.run_training import placed
from pipeline.engine.student_models import output_names
from pipeline.engine.train_rows import train_rows
from pipeline.errors import TrainingError
from pipeline.models.load import (
    load_classifier,
    load_config,
    load_finetuned,
    permute_labels,
    save_model,
)
from pipeline.models.released import has_relu, relu_before_classifier
from pipeline.models.source import ModelSource
from pipeline.store.stage import StageRun
from pipeline.training.team import team

SCORE_TOLERANCE = 1e-6


def run(
    run: StageRun,
    *,
    finetune: TrainingConfig | None,
    restarts: int,
    relu_logits: bool,
    precision: Precision | None,
    seed: int,
) -> None:
    """Fine-tune the teacher on the task, or take one that is fine-tuned already, and write its folder.

    Args:
        run: this stage's execution; inputs ``task_data`` and ``pretrained``.
        finetune: epochs, learning rate, batches, schedule; None for a teacher that is fine-tuned already.
        restarts: number of seeds to train with; the best model on the dev rows is kept.
        relu_logits: compute logits from relu(pooled), as the released code does; see ``RunConfig``.
        precision: precision of the training; None without a training.
        seed: seed of the first restart; each further one adds 1.

    Raises:
        TrainingError: the saved folder does not reproduce the score that the teacher had in training.
    """
    task = load_task(run.artifact("task_data"))
    source = model_input(run, "pretrained")
    tokenizer = load_tokenizer(source.location, source.revision)
    check_vocabulary(tokenizer, load_config(source).vocab_size)
    score = dev_scorer(task, tokenizer, run)
    if finetune is None:
        model = placed(_already_finetuned(source, task), run.runtime)
        check_positions(model, task.max_length, "task.max_length")
        if relu_logits and not has_relu(model.config):
            relu_before_classifier(model)
        best = score(model)
    else:
        make = _maker(source, task, relu_logits=relu_logits)
        model, best = _finetune(run, finetune, make, tokenizer, task, score, restarts, precision or "float32", seed)
    save_model(model, tokenizer, run.output / "model", max_length=task.max_length)
    if team().follows:  # of several processes Transformers lets the first alone write a model
        return
    reloaded = placed(load_finetuned(ModelSource(str(run.output / "model"))), run.runtime)
    again = score(reloaded)
    if abs(again - best) > SCORE_TOLERANCE:
        raise TrainingError(
            f"the saved teacher scores {again:.6f} on the dev set, in training it scored {best:.6f}: its folder "
            "does not reproduce it"
        )
    run.record(dev_score=best, parameters=sum(p.numel() for p in model.parameters()))


def _maker(source: ModelSource, task: TaskData, *, relu_logits: bool) -> Callable[[int], PreTrainedModel]:
    """Return a function: seed -> the pretrained encoder with a new random head for the task."""

    def make(seed: int) -> PreTrainedModel:
        torch.manual_seed(seed)
        model = load_classifier(source, output_names(task), regression=task.kind == "regression")
        check_positions(model, task.max_length, "task.max_length")
        if relu_logits:
            relu_before_classifier(model)
        return model

    return make


def _finetune(
    run: StageRun,
    training: TrainingConfig,
    make: Callable[[int], PreTrainedModel],
    tokenizer: Any,
    task: TaskData,
    score: Callable[[nn.Module], float],
    restarts: int,
    precision: Precision,
    seed: int,
) -> tuple[PreTrainedModel, float]:
    """Train with each seed; return the model with the best dev score, and that score."""
    rows = train_rows(run, task, tokenizer)
    best: tuple[float, PreTrainedModel] | None = None
    scores = []
    for restart in range(restarts):
        model = make(seed + restart)
        histories = distil(
            run,
            {"teacher": Learner(model, from_labels(task.outcome))},
            rows,
            training,
            seed=seed + restart,
            precision=precision,
            score=score,
            name=f"restart_{restart}",
            keep_end=restart + 1 < restarts,
        )
        reached = histories["teacher"].best
        assert reached is not None  # noqa: S101 - a training with a score has been scored at its end
        scores.append(reached)
        if best is None or reached > best[0]:
            best = (reached, model)
    run.record(restart_scores=scores)
    assert best is not None  # noqa: S101 - there is at least one restart
    return best[1], best[0]


def _already_finetuned(source: ModelSource, task: TaskData) -> PreTrainedModel:
    model = load_finetuned(source)
    refuse_multi_label(source.location, model.config.to_dict())
    if task.kind == "regression":
        check_one_output(model.config.num_labels)
    else:
        names = {int(number): name for number, name in (model.config.id2label or {}).items()}
        permute_labels(model, align_labels(names, task.label_names), task.label_names)
    return model
