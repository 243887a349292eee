"""Students cut out of their teacher by closed forms, on real tokens of the task or of the corpus.

The method is in ``models/initialise``; here its teacher, its text and its students are brought together.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pipeline.config.models import StudentConfig
from pipeline.data.tasks.table import TaskData, load_task
from pipeline.data.tokens.table import TokenTable
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.compatibility import check_positions, longest_row
from pipeline.engine.inputs import model_input
from pipeline.engine.projections import write_projections
from pipeline.engine.rows import by_length, reader, write_rows
from pipeline.engine.run_training import placed
from pipeline.engine.student_identity import dropout, folder, student_seed, taken_layers
from pipeline.models.initialise.cut import cut
from pipeline.models.load import load_encoder, load_finetuned, save_model
from pipeline.models.shapes import student_shape
from pipeline.models.students import student_config
from pipeline.store.stage import StageRun

TOKENS = 16_384  # that the closed forms are fitted to: more gained little (docs/methods/initialisation.md)
ROWS = 4_096  # of a task are enough of them
BATCH_TOKENS = 2_048


def run(run: StageRun, *, students: tuple[StudentConfig, ...], seed: int) -> None:
    """Cut each student out of its teacher, and keep the projections that belong to it.

    Args:
        run: input ``teacher``: the fine-tuned one, where ``task_data`` is the text, or a pretrained encoder, where
            ``corpus`` is, or ``task_data`` if there is none.
        students: that are cut out of it.
        seed: of the run.
    """
    finetuned = students[0].start == "teacher"
    source = model_input(run, "teacher")
    tokenizer = load_tokenizer(source.location, source.revision)
    teacher = placed(load_finetuned(source) if finetuned else load_encoder(source), run.runtime)
    task = load_task(run.artifact("task_data")) if run.has("task_data") else None
    batches = _batches(run, task, tokenizer, teacher, seed)
    explained: dict[str, Mapping[str, float]] = {}
    for number, student in enumerate(students):
        layers = taken_layers(student, teacher.config)
        shape = student_shape(student, teacher.config)
        made = cut(
            teacher,
            student_config(shape, teacher.config, dropout=dropout(student), layers=layers),
            batches,
            layers,
            head=finetuned,
            seed=student_seed(student, seed),
            name=student.name,
            same_width="refit",
        )
        model = made.model.cpu()
        longest = task.max_length if task is not None and finetuned else longest_row(model, tokenizer)
        check_positions(model, longest, "task.max_length")
        save_model(model, tokenizer, folder(run.output, student), max_length=longest)
        projections = {"embedding": made.embedding_projection, "hidden": made.hidden_projection}
        write_projections(run.output, student.name, projections)
        explained[student.name] = made.explained
        run.progress.update(number + 1, len(students))
    run.record(
        tokens=int(sum(int(batch["attention_mask"].sum()) for batch in batches)),
        explained={name: dict(shares) for name, shares in explained.items()},
    )


def _batches(
    run: StageRun,
    task: TaskData | None,
    tokenizer: PreTrainedTokenizerFast,
    teacher: PreTrainedModel,
    seed: int,
) -> list[dict[str, torch.Tensor]]:
    """About ``TOKENS`` tokens of rows drawn at random, on the teacher's device."""
    if run.has("corpus"):
        table = TokenTable.open(run.artifact("corpus") / "tokens")
    else:
        assert task is not None  # noqa: S101 - the stage is described with one of the two
        table = _task_rows(run, task, tokenizer, seed)
    order = np.random.default_rng(seed).permutation(len(table))
    enough = int(np.searchsorted(np.cumsum(table.lengths[order]), TOKENS)) + 1
    rows = np.sort(order[:enough])
    read = reader(table, pad_id=tokenizer.pad_token_id)
    return [
        {name: tensor.to(teacher.device) for name, tensor in read(rows[places], 0).items()}
        for places in by_length(table.lengths[rows], BATCH_TOKENS)
    ]


def _task_rows(run: StageRun, task: TaskData, tokenizer: Any, seed: int) -> TokenTable:
    train = task.splits["train"]
    if train.num_rows > ROWS:
        train = train.take(np.sort(np.random.default_rng(seed).permutation(train.num_rows)[:ROWS]))
    return write_rows(run.scratch / "train", [train], tokenizer, max_length=task.max_length, progress=run.progress)
