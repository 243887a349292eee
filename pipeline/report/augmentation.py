"""The report's section on variants: figures with their meaning, and rows beside their variants."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.report.formats import count, percent

Quality = Mapping[str, Any]  # quality.json of stage teacher_logits
Parts = list[tuple[str, bool]]
WORDS = re.compile(r"\s+|[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")


class Figure(NamedTuple):
    """A formatted figure and its meaning."""

    name: str
    figure: str
    meaning: str


def quality_figures(quality: Quality) -> list[Figure]:
    """Return the figures that were measured."""
    length, teacher, perplexity = (quality.get(part) or {} for part in ("length_ratio", "teacher", "pseudo_perplexity"))
    rows, without = quality["rows"], quality["rows_without"]
    figures = [
        Figure(
            "variants a row",
            f"{quality['distinct_a_row']:.1f}",
            f"{count(quality['variants'])} variants of {count(rows)} rows; {count(without)} rows have none",
        ),
        Figure("replacement rate", percent(quality["replacement_rate"]), "of the words that may change"),
    ]
    if length:
        spread = f"nine in ten lie between {length['p05']:.2f} and {length['p95']:.2f}"
        figures.append(
            Figure("length", f"{length['mean']:.2f}", f"word pieces of a variant over its origin's; {spread}")
        )
    if teacher:
        numbers = "score_shift" in teacher
        apart = f"by more than {teacher['flip_tolerance']:.3g}" if numbers else "by its likeliest class"
        figures.append(
            Figure("teacher flip rate", percent(teacher["flip_rate"]), f"disagree with their origin, {apart}")
        )
        if numbers:
            meaning = "mean absolute difference of the teacher's scores"
            figures.append(Figure("score shift", f"{teacher['score_shift']:.3f}", meaning))
        else:
            shift = percent(teacher["probability_shift"])
            figures.append(Figure("probability shift", shift, "moved to other classes, on average"))
    if perplexity and perplexity["origin"] is not None and perplexity["variant"] is not None:
        figures.append(
            Figure(
                "pseudo-perplexity",
                f"{perplexity['variant']:.3g}",
                f"of the variants for the masked LM; {perplexity['origin']:.3g} of their origins "
                f"({perplexity['pairs']} sampled)",
            )
        )
    return figures


def quality_examples(quality: Quality) -> list[dict[str, Any]]:
    """Return the sampled rows, each with ``parts``: the words of its variant with a flag for new ones."""
    return [row | {"parts": changed_words(row["original"], row["variant"])} for row in quality["examples"]]


def changed_words(original: str, variant: str) -> Parts:
    """Split a variant into words, white space and Chinese or Japanese characters, with a flag for new ones."""
    before, after = WORDS.findall(original), WORDS.findall(variant)
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    return [
        (word, kind != "equal" and not word.isspace())
        for kind, _, _, start, end in matcher.get_opcodes()
        for word in after[start:end]
    ]
