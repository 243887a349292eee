"""The model card: a README.md that describes the folder of a student."""

from collections.abc import Sequence

import yaml

from pipeline.report.content import ResultRow
from pipeline.report.formats import printable, words
from pipeline.report.summary import summarise
from pipeline.report.tables import short_cells

CHOSEN_ON_DEV = (
    "The figures are of one run on the development rows, on which the checkpoint was chosen as well: "
    "expect somewhat less on new text."
)


def model_card(
    name: str,
    *,
    teacher: str,
    task: str,
    main_metric: str,
    results: Sequence[ResultRow],
    label_names: Sequence[str] = (),
    max_length: int = 128,
    pair: bool = False,
    judged: str = "the dev rows",
    timed: str | None = None,
    fingerprint: str | None = None,
    limits: Sequence[str] = (),
) -> str:
    """Return the model card of a student, in Markdown.

    Args:
        name: name of the student in ``results``.
        teacher: folder or hub id of the pretrained teacher.
        task: what is predicted.
        main_metric: the metric the student was chosen by.
        results: the models to compare; those without the main metric are left out.
        label_names: label names in the order of the logits; empty for regression.
        max_length: word pieces a row in training.
        pair: the model reads two texts.
        judged: the rows that the metrics were measured on, in words.
        timed: what was timed, and on which machine; None leaves out the times.
        fingerprint: fingerprint of the student's artifact.
        limits: sentences about the limits of the student, besides those of every student.
    """
    tags = ["text-classification", "knowledge-distillation", "tinybert"]
    front = yaml.safe_dump({"library_name": "transformers", "pipeline_tag": tags[0], "tags": tags}, sort_keys=False)
    own = [row for row in results if row.name == name or row.role != "student"]
    kind = f"a classifier with {len(label_names)} labels" if label_names else "a regression model (one score)"
    origin = f" Artifact `{_code(fingerprint)}`." if fingerprint else ""
    opening = (
        f"{kind[0].upper()}{kind[1:]} for *{_prose(task)}*: a small Transformer encoder distilled from "
        f"`{_code(teacher)}` in two stages (TinyBERT, arXiv:1909.10351).{origin}"
    )
    parts = [
        f"---\n{front}---\n\n# {_prose(name)}",
        opening,
        _prose(summarise(own, main_metric)),
        "## Results\n\n" + _table([row for row in results if main_metric in row.metrics], main_metric, judged, timed),
        "## Use\n\n" + _usage(max_length, pair=pair, labels=bool(label_names)),
    ]
    if label_names:
        rows = "\n".join(f"{index}. {_prose(label)}" for index, label in enumerate(label_names))
        parts.append(f"## Labels\n\nIn the order of the logits, from 0:\n\n{rows}")
    fixed = [
        f"It was trained on rows of at most {max_length} word pieces; longer ones lose their end.",
        "A transformers.pipeline needs truncation=True to cut them.",
        "It imitates its teacher, mistakes and biases included, and knows no task but this one.",
        CHOSEN_ON_DEV,
    ]
    parts.append("## Limits\n\n" + "\n".join(f"- {_prose(limit)}" for limit in [*fixed, *limits]))
    return printable("\n\n".join(parts)) + "\n"


def _table(results: Sequence[ResultRow], main_metric: str, judged: str, timed: str | None) -> str:
    names = list(dict.fromkeys([main_metric, *(metric for row in results for metric in row.metrics)]))
    heads = ["model", *map(words, names), "interval", "of teacher", "parameters", *(["ms", "speed"] if timed else [])]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for row in results:
        cells = short_cells(row, names)
        times = [cells.milliseconds, cells.speed] if timed else []
        lines.append([row.name, *cells.scores, cells.interval, cells.retention, cells.parameters, *times])
    table = "\n".join("| " + " | ".join(map(_prose, line)) + " |" for line in lines)
    timing = f" Time: {_prose(timed)}; speed against the teacher, with its 95% interval." if timed else ""
    return f"On {judged}; the interval is that of {words(main_metric)}.{timing}\n\n{table}"


def _usage(max_length: int, *, pair: bool, labels: bool) -> str:
    texts = '"a first text", "a second text"' if pair else '"a text"'
    answer = "model.config.id2label[logits.argmax(-1).item()]" if labels else "logits.item()"
    return f"""```python
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."  # this folder
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
inputs = tokenizer({texts}, truncation=True, max_length={max_length}, return_tensors="pt")
with torch.inference_mode():
    logits = model(**inputs).logits
print({answer})
```"""


def _prose(text: str) -> str:
    """Escape a text for one line of Markdown."""
    line = " ".join(text.split())
    if set(line) <= set("-:") and line:
        return line  # the rule of a table
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in line)


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())
