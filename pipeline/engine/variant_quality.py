"""Measure the quality of variants: the figures that stage ``teacher_logits`` writes into ``quality.json``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from pyarrow import parquet

from pipeline.augmentation.variants.pseudo_perplexity import affordable, pseudo_log_likelihoods, pseudo_perplexity
from pipeline.augmentation.variants.quality import Shown, length_ratio, survey, teacher_shift
from pipeline.config.augmenters import HOLE
from pipeline.data.tasks.table import TaskData
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.inputs import model_input
from pipeline.engine.run_training import placed
from pipeline.engine.transfer_set import TransferSet
from pipeline.models.load import load_masked_lm
from pipeline.models.mlm import mlm_head
from pipeline.store.artifact import load_artifact
from pipeline.store.stage import StageRun

QUALITY = "quality.json"
EXAMPLES = 20
SAMPLE_SEED = 0  # one for all runs: the teacher's logits, which lie in the same artifact, do not depend on the run's
SAMPLE = 200  # variants that the masked LM is asked about, each beside its origin, or fewer:
SAMPLE_TOKENS = 100_000  # so many tokens are half a minute of a 12-layer model on two CPU cores


def variant_quality(run: StageRun, task: TaskData, transfer: TransferSet) -> dict[str, Any]:
    """Measure the variants of a run.

    Args:
        run: this stage's execution; input ``augmentation``, and ``mlm`` if there is a masked LM.
        task: the rows that the variants were made of.
        transfer: rows and variants with the teacher's logits.

    Returns:
        Counts and shares; ``length_ratio``; ``teacher``, see ``teacher_shift``; ``pseudo_perplexity``, None without
        a masked LM that has a mask token; ``examples``.
    """
    folder = run.artifact("augmentation")
    made = load_artifact(folder).metrics
    origins = transfer.origins[transfer.originals :]
    flipped = transfer.flipped[transfer.originals :]
    random = np.random.default_rng(SAMPLE_SEED)
    sample = random.choice(len(origins), min(SAMPLE, len(origins)), replace=False, shuffle=True)
    found = survey(parquet.ParquetFile(folder / "variants.parquet").iter_batches(), sample.tolist())
    order = {place: number for number, place in enumerate(sample.tolist())}
    shown = sorted(found.shown, key=lambda one: order[one.place])
    texts = _origin_texts(task, shown, origins)
    made_of = [one.text.replace(HOLE, "") for one in shown]
    return {
        "rows": made["rows"],
        "variants": found.variants,
        "distinct_a_row": found.distinct / max(1, made["rows"]),
        "rows_without": made["rows"] - found.varied_rows,
        "replacement_rate": made["replacement_rate"],
        "length_ratio": length_ratio(transfer.table.lengths, origins),
        "teacher": teacher_shift(transfer.logits, origins, flipped) | {"flip_tolerance": transfer.tolerance},
        "pseudo_perplexity": _perplexities(run, texts, made_of),
        "examples": [
            {
                "row_id": row_id,
                "column": one.column,
                "num_changed": one.num_changed,
                "original": original,
                "variant": variant,
                "original_label": describe_prediction(task, transfer.logits[origins[one.place]]),
                "variant_label": describe_prediction(task, transfer.logits[transfer.originals + one.place]),
                "flipped": bool(flipped[one.place]),
            }
            for one, original, variant, row_id in zip(
                shown[:EXAMPLES],
                texts[:EXAMPLES],
                made_of[:EXAMPLES],
                transfer.table.column("row_id")[origins[sample[:EXAMPLES]]].tolist(),
                strict=True,
            )
        ],
    }


def figures(quality: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that go into the manifest: all but the examples."""
    return {name: value for name, value in quality.items() if name != "examples"}


def describe_prediction(task: TaskData, logits: NDArray[np.float32]) -> str:
    """Write a prediction for people: the class and its probability, or the score.

    Args:
        task: names of the classes.
        logits: (classes,); (1,) for a regression.
    """
    if task.kind == "regression":
        return f"{logits[0]:.2f}"
    likely = np.exp(logits.astype(np.float64) - logits.max())
    return f"{task.label_names[int(logits.argmax())]} {likely.max() / likely.sum():.0%}"


def _origin_texts(task: TaskData, shown: Sequence[Shown], origins: NDArray[np.int64]) -> list[str]:
    """Return the original text of each variant."""
    if not shown:
        return []
    columns = ["text", *(["text_pair"] if task.pair else [])]
    splits = [task.splits[split].select(columns) for split in ("train", "unlabelled") if split in task.splits]
    rows = pa.concat_tables(splits).take([int(origins[one.place]) for one in shown]).to_pylist()
    return [row[one.column] or "" for row, one in zip(rows, shown, strict=True)]


def _perplexities(run: StageRun, originals: list[str], variants: list[str]) -> dict[str, Any] | None:
    """Compute the pseudo-perplexity of the sampled texts and of their variants; None without a masked LM."""
    if not (run.has("mlm") and originals):
        return None
    source = model_input(run, "mlm")
    tokenizer = load_tokenizer(source.location, source.revision)
    if tokenizer.mask_token_id is None:
        run.progress.note("no pseudo-perplexity of the variants: the masked LM's tokenizer has no mask token")
        return None
    model = placed(load_masked_lm(source), run.runtime)
    lengths = [
        list(map(len, tokenizer(texts, add_special_tokens=False)["input_ids"])) for texts in (originals, variants)
    ]
    count = affordable(list(zip(*lengths, strict=True)), SAMPLE_TOKENS)
    run.progress.note(f"asking the masked LM how strange {count} variants look beside their origins")
    device: torch.device = next(model.parameters()).device
    before, after = (
        pseudo_perplexity(pseudo_log_likelihoods(texts[:count], model, tokenizer, head=mlm_head(model), device=device))
        for texts in (originals, variants)
    )
    return {"origin": before, "variant": after, "pairs": count}
