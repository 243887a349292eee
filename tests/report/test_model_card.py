from dataclasses import replace

import yaml

from pipeline.report.card import model_card
from pipeline.report.content import ResultRow

RESULTS = [
    ResultRow("teacher", "teacher", {"accuracy": 0.9, "f1": 0.88}, (0.88, 0.92), 1.0, 22_700_000),
    ResultRow("tiny", "student", {"accuracy": 0.88}, (0.86, 0.9), 0.978, 2_950_000),
    ResultRow("other", "student", {"accuracy": 0.89}, None, 0.99, 5_000_000),
]


def card(**changes):
    given = {
        "teacher": "some/teacher",
        "task": "sst2",
        "main_metric": "accuracy",
        "results": RESULTS,
        "label_names": ["negative", "positive"],
        "judged": "872 dev rows, which chose the checkpoints too",
        "fingerprint": "abc123",
    }
    return model_card("tiny", **(given | changes))


def test_it_says_what_the_folder_is():
    text = card(limits=["English only."])
    for said in (
        "some/teacher",
        "*sst2*",
        "abc123",
        "872 dev rows, which chose the checkpoints too",
        "English only.",
        "id2label",
    ):
        assert said in text
    assert "The student tiny keeps 97.8% of its teacher's accuracy" in text, "its own figures, not another student's"
    assert text.index("1. positive") > text.index("0. negative")


def test_its_front_matter_is_yaml():
    assert yaml.safe_load(card().split("---\n")[1])["library_name"] == "transformers"


def test_its_table_is_a_table():
    lines = [line for line in card().splitlines() if line.startswith("|")]
    assert len(lines) == 5
    assert len({line.count("|") for line in lines}) == 1
    assert "\u2013" in lines[3], "a metric that a model lacks"


def test_times_stand_with_where_they_were_measured():
    timed = "one forward pass, batch 1, 16 word pieces, on 1 thread of EPYC"
    rows = [
        replace(RESULTS[0], latency_ms=9.0),
        replace(RESULTS[1], latency_ms=3.0, speed=(3.0, 2.9, 3.1)),
        replace(RESULTS[2], latency_ms=3.0, speed=(3.0, 1.0, 9.0), latency_reliable=False, role="ablation"),
    ]
    text = card(results=rows, timed=timed)
    assert timed in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert table[3].endswith("| 3.00 | 3\u00d7 \\[2.9, 3.1\\] |")
    assert table[4].endswith("| 3.00 | not measured reliably |")
    assert "| ms |" not in card(results=rows)


def test_its_example_is_python_for_the_kind_of_task():
    for changes in ({}, {"pair": True}, {"label_names": []}):
        text = card(**changes)
        code = text.split("```python\n")[1].split("```")[0]
        compile(code, "card", "exec")
        assert ("a second text" in code) == changes.get("pair", False)
        assert ("id2label" in code) == ("label_names" not in changes)


def test_names_cannot_break_it():
    rows = [ResultRow("a | b\n# c", "teacher", {"accuracy": 0.5}), *RESULTS]
    text = card(results=rows, label_names=["<b>", "```"], teacher="x`y")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert "| a \\| b \\# c |" in lines[2]
    assert "<b>" not in text.replace("\\<b\\>", "")
    assert text.count("```") == 2
