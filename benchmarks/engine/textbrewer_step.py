"""The engine against TextBrewer: the same weights, sentences, terms, batch size and optimizer.

    python benchmarks/engine/textbrewer_step.py FOLDER_OF_SST-2

TextBrewer is its own ``GeneralDistiller`` with its own matches for a 4-layer student ('L4t_hidden_mse' and
'L4_attention_mse' of its examples), fed by a PyTorch loader in random order: (a) padded to 128, as its examples
do; (b) padded to the longest of each batch. Its models run eager attention, without which the library hands out
no attention matrices. It saves and logs nothing here, and its first batch of a round is not timed.

The engine takes batches of 32 rows, as TextBrewer does, and the precision it chooses by itself: bfloat16 where the
processor has units for it, which TextBrewer does not use. Beside it stand the engine in float32 and with batches of
2,048 tokens. Both have AdamW, fused. TextBrewer's attention term is on the
matrices that Transformers hands out (after softmax), the engine's on the scores before: no difference in time worth
speaking of.
"""

import logging
import random
import tempfile
import time
from collections.abc import Iterator, Sequence

import textbrewer
import torch
from rounds import Speed, print_machine, print_ratios, take_turns
from setting import BATCH, LONGEST, OURS, Shape, arguments, engines, every_nth, model, padded, sentences, shapes

FIXED, LONGEST_OF_BATCH = "TextBrewer, padded to 128", "TextBrewer, padded to the longest"
GOALS = {FIXED: 12.0, LONGEST_OF_BATCH: 4.0}


class TimedBatches:
    """Random batches of some rows for a distiller to iterate over; notes the time from the second one on."""

    def __init__(self, rows: Sequence[list[int]], batches: int, width: int | None) -> None:
        self._rows, self._batches, self._width = rows, batches, width
        self.speed = Speed(0, 1.0)

    def __len__(self) -> int:
        return self._batches + 1

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        drawn = [random.sample(self._rows, BATCH) for _ in range(len(self))]
        yield padded(drawn[0], self._width)
        started = time.perf_counter()
        for rows in drawn[1:]:
            yield padded(rows, self._width)
        tokens = sum(len(row) for rows in drawn[1:] for row in rows)
        self.speed = Speed(tokens, time.perf_counter() - started)


class Peer:
    """TextBrewer's distillation of a student.

    Args:
        rows: token ids.
        teacher: its shape.
        student: its shape.
        batches: how many are timed a round.
        width: what rows are padded to; None is the longest of the batch.
    """

    def __init__(
        self, rows: Sequence[list[int]], teacher: Shape, student: Shape, *, batches: int, width: int | None
    ) -> None:
        self._rows, self._batches, self._width = rows, batches, width
        self._teacher = model(teacher, 0, attention="eager").eval()
        self._student = model(student, 1, attention="eager")
        projection = ["linear", student.hidden, teacher.hidden]
        pairs = list(enumerate(every_nth(student, teacher), start=1))
        hidden = [
            {"layer_T": t, "layer_S": s, "feature": "hidden", "loss": "hidden_mse", "weight": 1, "proj": [*projection]}
            for s, t in [(0, 0), *pairs]
        ]
        attention = [  # its lists of matrices begin with layer 1
            {"layer_T": t - 1, "layer_S": s - 1, "feature": "attention", "loss": "attention_mse", "weight": 1}
            for s, t in pairs
        ]
        self._matches = hidden + attention

    def speed(self) -> Speed:
        """Real tokens and seconds of some random batches."""
        batches = TimedBatches(self._rows, self._batches, self._width)
        with tempfile.TemporaryDirectory() as folder:
            distiller = textbrewer.GeneralDistiller(
                textbrewer.TrainingConfig(ckpt_frequency=0, output_dir=folder, device="cpu"),
                textbrewer.DistillationConfig(intermediate_matches=self._matches),
                self._teacher,
                self._student,
                adaptor,
                adaptor,
            )
            with distiller:
                distiller.train(
                    torch.optim.AdamW(self._student.parameters(), lr=1e-4, fused=True),
                    batches,
                    num_epochs=1,
                    max_grad_norm=1.0,
                    output_hidden_states=True,
                    output_attentions=True,
                )
        return batches.speed


def adaptor(batch, outputs) -> dict:  # noqa: ANN001 - TextBrewer's own signature
    """What TextBrewer reads of a model's outputs."""
    return {
        "hidden": outputs.hidden_states,
        "attention": outputs.attentions,
        "inputs_mask": batch["attention_mask"],
    }


def main() -> None:
    asked = arguments(__doc__, rounds=5)
    logging.disable(logging.INFO)
    random.seed(0)
    teacher, student = shapes(quick=asked.quick)
    rows = sentences(asked)
    print_machine()
    few = max(1, asked.batches // 8)
    contestants = engines(rows, teacher, student, asked.batches) | {
        FIXED: Peer(rows, teacher, student, batches=few, width=LONGEST).speed,
        LONGEST_OF_BATCH: Peer(rows, teacher, student, batches=2 * few, width=None).speed,
    }
    found = take_turns(contestants, asked.rounds)
    for ours in (name for name in contestants if name.startswith(OURS)):  # goals are for like against like
        print_ratios(
            {name: found[name] for name in (ours, FIXED, LONGEST_OF_BATCH)}, ours, GOALS if ours == OURS else {}
        )


if __name__ == "__main__":
    main()
