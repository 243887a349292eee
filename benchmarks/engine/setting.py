"""What the engine's benchmarks share: the models, the sentences, and the pipeline's own contestant."""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from rounds import Speed
from transformers import AutoModel, BertConfig, BertTokenizer, PreTrainedModel
from transformers.utils import logging

from pipeline.config.distillation import TRANSFORMER_LAYERS
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.table import TokenTable, TokenTableWriter
from pipeline.engine.guides.frozen import frozen_teacher
from pipeline.engine.objectives import TEACHER, build_learners, guide_taps
from pipeline.engine.precision import cpu_has_bfloat16
from pipeline.engine.rows import plan, reader
from pipeline.models.precision import autocast
from pipeline.models.students import build_encoder
from pipeline.progress import Silent
from pipeline.training.loop import Training, train
from pipeline.training.malloc_tuning import keep_freed_memory

logging.set_verbosity_error()
VOCABULARY = 30_522
LONGEST = 128
BATCH, BUDGET = 32, 2_048
OURS = "engine"
CLS, SEP, FIRST_WORD = 101, 102, 1_996


@dataclass(frozen=True)
class Shape:
    """A BERT's size."""

    layers: int
    hidden: int
    inner: int
    heads: int = 12

    def config(self, *, dropout: float = 0.1) -> BertConfig:
        """Of an encoder with this shape and BERT's vocabulary."""
        return BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )


BERT_BASE, TINYBERT_4 = Shape(12, 768, 3072), Shape(4, 312, 1200)
QUICK_TEACHER, QUICK_STUDENT = Shape(4, 48, 96), Shape(2, 24, 48)


def model(shape: Shape, seed: int, *, attention: str | None = None) -> PreTrainedModel:
    """A BERT with random weights: the same for the same shape and seed, whatever attention it runs on."""
    built = build_encoder(shape.config(), seed)
    if attention is None:
        return built
    other = AutoModel.from_config(built.config, attn_implementation=attention)
    other.load_state_dict(built.state_dict())
    return other


def every_nth(shape: Shape, teacher: Shape) -> list[int]:
    """The teacher's layers that the student's layers 1, 2, ... imitate."""
    return [layer * teacher.layers // shape.layers for layer in range(1, shape.layers + 1)]


def arguments(description: str, *, rounds: int, keep_memory: bool = True, **flags: str) -> argparse.Namespace:
    """The command line that all of them have, and further flags with their help; sets up torch as a run does."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder with SST-2's train.tsv; made-up rows without it")
    parser.add_argument("--vocabulary", type=Path, help="vocab.txt of BERT, uncased; found beside glue/SST-2 if there")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds that count ({rounds})")
    parser.add_argument("--batches", type=int, default=16, help="batches a round of the pipeline's own (16)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--quick", action="store_true", help="tiny models, made-up rows, one round: does it run?")
    for flag, told in flags.items():
        parser.add_argument(f"--{flag}", action="store_true", help=told)
    found = parser.parse_args()
    if found.quick:
        found.data, found.rounds, found.batches = None, 1, 3
    torch.set_num_threads(found.threads)
    if keep_memory:
        keep_freed_memory()  # as every run on a CPU does; the peers of this process have it too
    return found


def shapes(*, quick: bool) -> tuple[Shape, Shape]:
    """Teacher and student."""
    return (QUICK_TEACHER, QUICK_STUDENT) if quick else (BERT_BASE, TINYBERT_4)


def sentences(asked: argparse.Namespace) -> list[list[int]]:
    """Token ids of all training sentences of SST-2, or of rows as long as they are."""
    if asked.data is None:
        return made_up_rows(400 if asked.quick else 60_000, mean=12.6)
    vocabulary = asked.vocabulary or asked.data.parent.parent / "vocab" / "bert-base-uncased.vocab.txt"
    lines = (asked.data / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    tokenizer = BertTokenizer(vocab=str(vocabulary), do_lower_case=True)
    texts = [line.split("\t")[0].strip() for line in lines]
    return tokenizer(texts, truncation=True, max_length=LONGEST)["input_ids"]


def made_up_rows(count: int, *, mean: float, longest: int = LONGEST, seed: int = 0) -> list[list[int]]:
    """Random word pieces in rows whose lengths are gamma distributed (shape 2), cut at ``longest``."""
    random = np.random.default_rng(seed)
    lengths = np.clip(np.round(random.gamma(2.0, mean / 2.0, count)), 4, longest).astype(int)
    return [[CLS, *random.integers(FIRST_WORD, VOCABULARY, length - 2).tolist(), SEP] for length in lengths]


def typical(rows: Sequence[list[int]], batches: int, *, max_tokens: int | None = None) -> list[list[int]]:
    """The rows of some whole batches of the pipeline's plan over all rows, evenly spaced by length.

    A few hundred rows drawn one by one would be padded more than they are among tens of thousands.
    """
    lengths = np.array([len(row) for row in rows], np.int32)
    config = TrainingConfig(epochs=1, batch_size=BATCH, max_tokens=max_tokens)
    planned = sorted(plan(lengths, config, seed=0, max_length=LONGEST).epoch(0), key=lambda batch: lengths[batch].max())
    places = np.unique(((np.arange(batches) + 0.5) / batches * len(planned)).astype(int))
    return [rows[row] for place in places for row in planned[place]]


def padded(rows: Sequence[Sequence[int]], width: int | None = None) -> dict[str, torch.Tensor]:
    """A batch padded to ``width``, or to its longest row."""
    width = width or max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
    mask = torch.arange(width) < torch.tensor([len(row) for row in rows])[:, None]
    return {"input_ids": ids, "attention_mask": mask.long(), "token_type_ids": torch.zeros_like(ids)}


class Engine:
    """The pipeline's own intermediate distillation of some rows: its batches, tap, learners and loop.

    Args:
        rows: token ids.
        teacher: its shape.
        students: theirs, by name.
        max_tokens: tokens a step, padding included; None takes ``BATCH`` rows.
        precision: of the matrix products.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[int]],
        teacher: Shape,
        students: Mapping[str, Shape],
        *,
        max_tokens: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        self.tokens = sum(map(len, rows))
        self._config = TrainingConfig(epochs=1, batch_size=BATCH, max_tokens=max_tokens, learning_rate=1e-4)
        self._precision = precision
        models = {name: model(shape, 1) for name, shape in students.items()}
        asked = [_student_config(name, shape) for name, shape in students.items()]
        instructor = model(teacher, 0)
        learners = build_learners(asked, models, instructor.config, TRANSFORMER_LAYERS, seed=0)
        batches = plan(np.array([len(row) for row in rows], np.int32), self._config, seed=0, max_length=LONGEST)
        self.padding_efficiency = batches.padding_efficiency
        show = frozen_teacher(instructor, guide_taps(learners), torch.device("cpu"), precision=precision)
        self._training = Training(
            learners, batches, reader(token_table(rows), pad_id=0), lambda batch, _rows: {TEACHER: show(batch)}
        )

    def epoch(self) -> dict[str, float]:
        """Train on every row once; returns what the loop says of its speed."""
        with tempfile.TemporaryDirectory() as scratch:
            _, speed = train(
                self._training,
                self._config,
                seed=0,
                accelerator=Accelerator(cpu=True),
                checkpoints=Path(scratch),
                checkpoint_seconds=3600,
                checkpoint_share=0.05,
                progress=Silent(),
                autocast=lambda: autocast(self._precision, torch.device("cpu")),
            )
        return speed

    def speed(self) -> Speed:
        """Real tokens of an epoch, and its seconds with everything the loop does."""
        return Speed(self.tokens, self.epoch()["seconds"])


def engines(rows: Sequence[list[int]], teacher: Shape, student: Shape, batches: int) -> dict[str, Callable[[], Speed]]:
    """The pipeline in batches of 32 rows and of 2,048 tokens, in each precision the processor has units for.

    ``OURS`` alone is in batches of 32 rows, in the precision a run takes on this processor.
    """
    few = max(2, batches * BATCH * sum(map(len, rows)) // (len(rows) * BUDGET))
    found = {}
    for precision in precisions():
        name = OURS if precision == precisions()[0] else f"{OURS}, {precision}"
        for suffix, count, budget in (("", batches, None), (f", {BUDGET:,} tokens a batch", few, BUDGET)):
            chosen = typical(rows, count, max_tokens=budget)
            engine = Engine(chosen, teacher, {"student": student}, max_tokens=budget, precision=precision)
            found[name + suffix] = engine.speed
    return found


def precisions() -> tuple[Precision, ...]:
    """Those the processor has units for; first the one a run takes by itself."""
    return ("bfloat16", "float32") if cpu_has_bfloat16() else ("float32",)


def _student_config(name: str, shape: Shape) -> StudentConfig:
    return StudentConfig(
        name=name, layers=shape.layers, hidden=shape.hidden, heads=shape.heads, intermediate=shape.inner
    )


def token_table(rows: Sequence[Sequence[int]]) -> TokenTable:
    """A table of rows of token ids."""
    with tempfile.TemporaryDirectory() as folder:
        with TokenTableWriter(Path(folder), vocab_size=VOCABULARY) as writer:
            for row in rows:
                writer.append(list(row), None)
        return TokenTable.open(folder)  # its files stay mapped after they are gone


def step_flops(rows: Sequence[Sequence[int]], teacher: Shape, student: Shape) -> int:
    """Floating-point operations that distilling these rows takes, two a multiply-add, real tokens only.

    The teacher's forward; the student's forward, and twice that backward; the projections of its hidden states
    likewise; the attention scores of both in the mapped layers, and the gradient of the student's. Embedding
    look-ups, norms, activations, dropout and the optimizer are left out.
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    tokens, pairs = int(lengths.sum()), int((lengths**2).sum())
    projected = 2 * tokens * student.hidden * teacher.hidden * (student.layers + 1)
    scores = 2 * pairs * student.layers * (3 * student.hidden + teacher.hidden)
    return _forward(teacher, tokens, pairs) + 3 * _forward(student, tokens, pairs) + 3 * projected + scores


def _forward(shape: Shape, tokens: int, pairs: int) -> int:
    dense = 2 * tokens * (4 * shape.hidden**2 + 2 * shape.hidden * shape.inner)
    return shape.layers * (dense + 4 * pairs * shape.hidden)
