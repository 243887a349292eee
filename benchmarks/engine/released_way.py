"""The engine against the way the released TinyBERT code distils, written from its description.

    python benchmarks/engine/released_way.py FOLDER_OF_SST-2

That way: every row padded to 128, in random order; both models compute the score matrices of every layer and keep
them with all hidden states; the mapped ones are compared element by element, padding included. Two things of it
are left out that would only slow it down: the teacher's dropout, and a pooler and head nobody reads. A second
comparison has rows as long as MNLI's (mean 39, at most 128).
"""

import random
import time
from argparse import Namespace
from collections.abc import Sequence

import torch
from rounds import Speed, print_machine, print_ratios, take_turns
from setting import (
    BATCH,
    LONGEST,
    OURS,
    Shape,
    arguments,
    engines,
    every_nth,
    made_up_rows,
    model,
    padded,
    sentences,
    shapes,
)
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

RELEASED = "the released way"
MASKED = -10_000.0


def eager(bert: PreTrainedModel, batch: dict[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Hidden states (embeddings first) and attention scores of every layer of a BERT, computed one after the other."""
    bias = (1.0 - batch["attention_mask"][:, None, None, :].float()) * MASKED
    hidden = bert.embeddings(input_ids=batch["input_ids"], token_type_ids=batch["token_type_ids"])
    states, scores = [hidden], []
    for layer in bert.encoder.layer:
        attention = layer.attention.self
        heads = (*hidden.shape[:2], attention.num_attention_heads, -1)
        query, key, value = (
            part(hidden).view(heads).transpose(1, 2) for part in (attention.query, attention.key, attention.value)
        )
        score = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + bias
        context = attention.dropout(score.softmax(dim=-1)) @ value
        hidden = layer.attention.output(context.transpose(1, 2).reshape(hidden.shape), hidden)
        hidden = layer.output(layer.intermediate(hidden), hidden)
        states.append(hidden)
        scores.append(score)
    return states, scores


def without_masked(score: Tensor) -> Tensor:
    """Scores of masked keys set to zero."""
    return torch.where(score <= -100.0, torch.zeros_like(score), score)


class Released:
    """Intermediate distillation in the released way.

    Args:
        rows: token ids.
        teacher: its shape.
        student: its shape.
        batches: how many are timed a round, after one that is not.
    """

    def __init__(self, rows: Sequence[list[int]], teacher: Shape, student: Shape, *, batches: int) -> None:
        self._rows, self._batches = rows, batches
        self._teacher = model(teacher, 0).eval()
        self._student = model(student, 1).train()
        self._layers = every_nth(student, teacher)
        self._projection = nn.Linear(student.hidden, teacher.hidden)
        self._parameters = [*self._student.parameters(), *self._projection.parameters()]
        self._optimizer = torch.optim.AdamW(self._parameters, lr=1e-4, fused=True)

    def speed(self) -> Speed:
        """Real tokens and seconds of some random batches."""
        tokens, started = 0, 0.0
        for number in range(self._batches + 1):
            if number == 1:
                started = time.perf_counter()
            rows = random.sample(self._rows, BATCH)
            self._step(padded(rows, LONGEST))
            tokens += sum(map(len, rows)) if number else 0
        return Speed(tokens, time.perf_counter() - started)

    def _step(self, batch: dict[str, Tensor]) -> None:
        with torch.no_grad():
            teacher_states, teacher_scores = eager(self._teacher, batch)
        states, scores = eager(self._student, batch)
        loss = F.mse_loss(self._projection(states[0]), teacher_states[0])
        for place, layer in enumerate(self._layers):
            loss = loss + F.mse_loss(self._projection(states[place + 1]), teacher_states[layer])
            loss = loss + F.mse_loss(without_masked(scores[place]), without_masked(teacher_scores[layer - 1]))
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)


def compare(rows: Sequence[list[int]], teacher: Shape, student: Shape, asked: Namespace, *, goal: float) -> None:
    """Let the two take turns on such rows."""
    few = max(1, asked.batches // 8)
    contestants = engines(rows, teacher, student, asked.batches) | {
        RELEASED: Released(rows, teacher, student, batches=few).speed
    }
    found = take_turns(contestants, asked.rounds)
    for ours in (name for name in contestants if name.startswith(OURS)):  # goals are for like against like
        print_ratios({name: found[name] for name in (ours, RELEASED)}, ours, {RELEASED: goal} if ours == OURS else {})


def main() -> None:
    asked = arguments(__doc__, rounds=5)
    random.seed(0)
    teacher, student = shapes(quick=asked.quick)
    print_machine()
    like_mnli = made_up_rows(400 if asked.quick else 60_000, mean=39.0)
    for name, rows, goal in (("SST-2's lengths", sentences(asked), 12.0), ("MNLI's lengths", like_mnli, 3.0)):
        print(f"{name}: {sum(map(len, rows)) / len(rows):.1f} word pieces a row")
        compare(rows, teacher, student, asked, goal=goal)


if __name__ == "__main__":
    main()
