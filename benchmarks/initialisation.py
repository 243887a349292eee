"""The distillation loss on held-out text before any training: a random start against students cut out of their teacher.

    python benchmarks/initialisation.py MODEL TEXT [--layers 2 4 6] [--width 192] [--heads 12] [--feed-forward 768]
        [--tokens 20000] [--held-out 20000] [--penalty 1e-3] [--same-width copy]

MODEL is a folder of a post-LayerNorm encoder with its tokenizer (all-MiniLM-L6-v2 for the figures in
docs/methods/initialisation.md), TEXT a plain text file. Students are cut on the first tokens of the file, packed into
rows of 128; as many from its end are held out. The loss is that of general distillation: embedding, hidden states and
attention scores, weight 1 each, with projections at random for the random start and in closed form for the cut. One
thread; printed are the losses, seconds of the cut, and by how much it raised the peak of resident memory.
"""

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from pipeline.config.models import Shape
from pipeline.distillation.objective import Objective, Part
from pipeline.distillation.terms.attention import AttentionTerm
from pipeline.distillation.terms.hidden import HiddenTerm
from pipeline.features import Moment
from pipeline.models.initialise.cut import cut
from pipeline.models.students import build_encoder, student_config
from pipeline.models.taps import Reader

LENGTH, ROWS = 128, 32
Batch = dict[str, Tensor]


def packed(ids: Sequence[int], tokenizer: object) -> list[Batch]:
    """Rows of LENGTH tokens, ROWS a batch, each between its special tokens."""
    first, last, body = tokenizer.cls_token_id, tokenizer.sep_token_id, LENGTH - 2
    rows = [[first, *ids[i : i + body], last] for i in range(0, len(ids) - body + 1, body)]
    return [as_batch(torch.tensor(rows[i : i + ROWS])) for i in range(0, len(rows), ROWS)]


def as_batch(ids: Tensor) -> Batch:
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids, dtype=torch.bool),
        "token_type_ids": torch.zeros_like(ids),
    }


def general_objective(layers: Sequence[int], embedding: Tensor, hidden: Tensor) -> Objective:
    """The terms of general distillation with these projections, (d, n) each."""
    links = list(enumerate(layers, start=1))
    return Objective(
        [
            Part("embedding", HiddenTerm([(0, 0)], linear(embedding)), 1.0, "teacher"),
            Part("hidden", HiddenTerm(links, linear(hidden)), 1.0, "teacher"),
            Part("attention", AttentionTerm(links), 1.0, "teacher"),
        ]
    )


def linear(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight.data.copy_(weight)
    return layer


@torch.no_grad()
def losses(
    student: PreTrainedModel, teacher: PreTrainedModel, objective: Objective, batches: Sequence[Batch]
) -> dict[str, float]:
    """The mean of each term over batches."""
    own, guide = Reader(student.eval(), objective.student_taps), Reader(teacher.eval(), objective.guide_taps("teacher"))
    total: dict[str, float] = {}
    for batch in batches:
        for name, loss in objective(own(batch), {"teacher": guide(batch)}, batch, Moment()).items():
            total[name] = total.get(name, 0.0) + float(loss) / len(batches)
    return total


def shown(name: str, found: dict[str, float]) -> str:
    parts = ", ".join(f"{term} {value:.3f}" for term, value in found.items())
    return f"{name:<34} {sum(found.values()):7.3f}   ({parts})"


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 4, 6])
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--feed-forward", type=int, default=768)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--held-out", type=int, default=20_000)
    parser.add_argument("--penalty", type=float, default=1e-3)
    parser.add_argument("--same-width", choices=["copy", "refit"], default="copy")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    text = given.text.read_text(encoding="utf-8", errors="replace")
    # About eight characters a token leave enough of both ends.
    fitted, held_out = (
        packed(tokenizer(part, add_special_tokens=False)["input_ids"], tokenizer)
        for part in (text[: 8 * given.tokens], text[-8 * given.held_out :])
    )
    fitted, held_out = fitted[: given.tokens // (LENGTH * ROWS)], held_out[: given.held_out // (LENGTH * ROWS)]
    teacher = AutoModel.from_pretrained(given.model, dtype=torch.float32).eval()
    shape = Shape(layers=len(given.layers), hidden=given.width, heads=given.heads, intermediate=given.feed_forward)
    config = student_config(shape, teacher.config, dropout=0.0, layers=given.layers)
    torch.manual_seed(given.seed)
    drawn = [nn.Linear(given.width, teacher.config.hidden_size, bias=False).weight for _ in range(2)]
    print(
        f"{sum(b['input_ids'].numel() for b in fitted)} tokens fitted to, "
        f"{sum(b['input_ids'].numel() for b in held_out)} held out"
    )
    if given.heads == teacher.config.num_attention_heads:
        random = losses(build_encoder(config, given.seed), teacher, general_objective(given.layers, *drawn), held_out)
        print(shown("random", random))
    before, started = peak_mb(), time.perf_counter()
    result = cut(
        teacher,
        config,
        fitted,
        given.layers,
        head=False,
        seed=given.seed,
        penalty=given.penalty,
        same_width=given.same_width,
    )
    seconds, memory = time.perf_counter() - started, peak_mb() - before
    for name, share in result.unexplained.items():
        print(f"{name:<20} inside the basis {result.explained[name]:.3f}, of this missed {share:.3f}")
    if given.heads == teacher.config.num_attention_heads:
        objective = general_objective(given.layers, result.embedding_projection, result.hidden_projection)
        print(shown("cut, on the text fitted to", losses(result.model, teacher, objective, fitted)))
        print(shown("cut, held out", losses(result.model, teacher, objective, held_out)))
    print(f"{seconds:.1f} s, {memory:.0f} MB more than before")


if __name__ == "__main__":
    main()
