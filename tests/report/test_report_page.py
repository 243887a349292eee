import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.report.augmentation import changed_words
from pipeline.report.content import ReportData, ResultRow, StageRow
from pipeline.report.formats import machine
from pipeline.report.plots import loss_curves, metric_curves, trade_off
from pipeline.report.report import latency_table, render

HOSTILE = """</style></svg><script>alert('x')</script><img src="http://evil.example/x"> $\\frac{ & "q" \x00"""
CURVE = [
    {"step": step, "loss": 5 / step, "hidden": 3 / step, "attention": 2 / step, "learning_rate": 1e-4}
    for step in range(1, 400)
]
RESULTS = [
    ResultRow("teacher", "teacher", {"accuracy": 0.9, "f1": 0.88}, (0.88, 0.92), 1.0, 22_700_000, 10**9,
              10**8, 14.2),
    ResultRow("student", "student", {"accuracy": 0.88}, (0.86, 0.9), 0.978, 2_950_000, 10**8, 10**7, 3.1,
              (0.1, 0.07, 0.13)),
    ResultRow("labels", "label-only", {"accuracy": 0.78}, (0.75, 0.8), 0.867, 2_950_000, 10**8, 10**7, 3.1),
    ResultRow("words", "tfidf", {"accuracy": 0.7}, (0.67, 0.73), 0.778),
]  # fmt: skip
LATENCY = [
    {"model": model, "length": 16, "batch": batch, "milliseconds": ms * batch, "speed": speed, "reliable": batch == 1}
    for batch in (32, 1)
    for model, ms, speed in (("teacher", 10.0, None), ("student", 2.0, (5.0, 4.8, 5.25)))
]
QUALITY = {
    "rows": 48,
    "variants": 90,
    "distinct_a_row": 1.875,
    "rows_without": 3,
    "replacement_rate": 0.41,
    "length_ratio": {"mean": 1.04, "p05": 0.9, "p95": 1.2},
    "teacher": {"flip_rate": 0.125, "probability_shift": 0.062, "flip_tolerance": None},
    "pseudo_perplexity": {"origin": 12.3, "variant": 45.6, "pairs": 20},
    "examples": [
        {
            "original": "a good film",
            "variant": "a fine film",
            "original_label": "positive 90%",
            "variant_label": "negative 51%",
            "flipped": True,
        }
    ],
}
FULL = ReportData(
    title="A run",
    created="2026-01-12T14:03:22+00:00",
    main_metric="accuracy",
    results=RESULTS,
    judged="872 dev rows",
    resamples=1000,
    latency_length=64,
    latency_batch=1,
    curves={"intermediate": CURVE, "teacher": [{"step": 1, "loss": 2.0}]},
    evaluations={"prediction": [(1, 0.5), (2, 0.88)]},
    latency=LATENCY,
    machine="2 threads of a Xeon",
    stages=[
        StageRow("teacher", "teacher/v0002", "ab" * 32, "reused", 95.0),
        StageRow("prediction", "prediction/v0001", "cd" * 32, "completed", 12.0, ["teacher/v0002"]),
    ],
    configuration="seed: 42\n",
    environment={"torch": "2.13"},
    notes=["3 rows were truncated."],
    augmentation=QUALITY,
)


def hostile_example():
    texts = ("original", "original_label", "variant_label")
    return dict.fromkeys(texts, HOSTILE) | {"variant": f"{HOSTILE} b", "flipped": True}


class Page(HTMLParser):
    """What a browser would find: tags, attributes, text by tag."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


def test_the_page_says_everything():
    page = render(FULL)
    for said in (
        "872 dev rows", "95% confidence interval of 1,000 bootstrap", "97.8%", "+0.100", "[0.860, 0.900]",
        "prediction/v0001", "seed: 42", "3 rows were truncated.", "<mark>fine</mark>", "2.13", "22.7",
        "batch 1, 64 word pieces, on 2 threads of a Xeon",
        "[4.8, 5.25]", "not measured reliably", "12.5%", "<b>negative 51%</b>", "45.6",
    ):  # fmt: skip
        assert said in page, said
    assert page.count("<caption") == page.count("<table") == 5
    drawings = re.findall(r"<svg[^>]*>", page)
    assert len(drawings) == 5
    assert all('role="img"' in drawing and "aria-label=" in drawing for drawing in drawings)


def test_the_page_asks_for_nothing_and_runs_nothing():
    page = Page(render(FULL))
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    targets = [value for name, value in page.attributes if name in {"src", "href", "xlink:href", "srcset"}]
    assert all(value.startswith("#") for value in targets)
    assert not re.search(r"@import|url\((?!#)", render(FULL))


def test_identifiers_are_unique_and_found():
    page = Page(render(FULL))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = [value[1:] for name, value in page.attributes if name == "href"]
    used += [value[5:-1] for name, value in page.attributes if value and value.startswith("url(#")]
    used += [value for name, value in page.attributes if name == "aria-labelledby"]
    assert set(used) <= set(ids)


def test_the_same_data_give_the_same_bytes():
    assert render(FULL) == render(FULL)


def test_hostile_names_are_only_text():
    rows = [replace(row, name=f"{row.name} {HOSTILE}") for row in RESULTS]
    stages = [StageRow(HOSTILE, f"{HOSTILE}/v1", HOSTILE, "completed", 1.0)]
    data = replace(
        FULL, title=HOSTILE, results=rows, stages=stages, configuration=HOSTILE, notes=[HOSTILE],
        environment={HOSTILE: HOSTILE}, augmentation=QUALITY | {"examples": [hostile_example()]},
        curves={HOSTILE: [{"step": 1, "loss": 1.0, HOSTILE: 2.0}]}, evaluations={HOSTILE: [(1, 0.5)]},
        latency=[row | {"model": HOSTILE} for row in LATENCY],
    )  # fmt: skip
    text = render(data)
    hostile, plain = Page(text), Page(render(FULL))
    assert not {"script", "img"} & set(hostile.tags)
    assert hostile.tags.count("style") == plain.tags.count("style") == 1
    assert "\x00" not in text
    text.encode()


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=40))
def test_any_name_can_be_shown(name):
    row = replace(RESULTS[1], name=name)
    text = render(replace(FULL, title=name, results=[row], curves={name: CURVE[:3]}, latency=[], evaluations={}))
    text.encode()
    assert len(Page(text).tags) > 50


def test_a_run_with_little_to_say_says_that():
    page = render(ReportData("bare", "2026-01-12", "accuracy", [ResultRow("s", "student", {"accuracy": 0.5})]))
    assert "The student s scores 0.500 accuracy." in page
    assert "<svg" not in page
    assert "retention" not in page
    assert "No student was evaluated." in render(ReportData("empty", "2026-01-12", "accuracy", []))


def test_the_latency_table_sets_the_models_side_by_side():
    table = latency_table(LATENCY)
    assert table.models == ["teacher", "student"]
    assert [line[:2] for line in table.lines] == [(1, 16), (32, 16)]
    assert table.lines[0][2] == [(10.0, None, True), (2.0, (5.0, 4.8, 5.25), True)]
    assert latency_table(LATENCY[:1] + LATENCY[3:]).lines[0][2] == [None, (2.0, (5.0, 4.8, 5.25), True)]


def test_a_time_that_is_not_reliable_is_called_so_and_makes_no_speed():
    steady, scattered = (
        replace(RESULTS[1], speed=(4.58, 4.4, 4.7), latency_reliable=reliable) for reliable in (True, False)
    )
    page = render(replace(FULL, results=[RESULTS[0], steady], latency=()))
    assert "4.6\u00d7 [4.4, 4.7]" in page
    assert "<strong>4.6\u00d7</strong> its speed" in page
    page = render(replace(FULL, results=[RESULTS[0], scattered], latency=()))
    assert "4.6\u00d7" not in page
    assert "3.10 <small>not measured reliably</small>" in page
    assert "its speed was not measured reliably" in page


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cpu", "2 threads of EPYC (8 cores), torch 2.13"),
        ("NVIDIA H200", "NVIDIA H200 with 2 threads of EPYC (8 cores), torch 2.13"),
    ],
)
def test_a_machine_in_words(device, said):
    assert machine({"device": device, "cpu": "EPYC", "cores": 8, "num_threads": 2, "torch": "2.13"}) == said


@given(
    st.lists(st.sampled_from(["a", "b", "c"]), max_size=8),
    st.lists(st.sampled_from(["a", "b", "d"]), max_size=8),
)
def test_changed_words_are_the_variant(original, variant):
    parts = changed_words(" ".join(original), " ".join(variant))
    assert "".join(word for word, _ in parts) == " ".join(variant)
    assert all(changed for word, changed in parts if word not in {*original, " "})
    assert not any(changed for _, changed in changed_words(" ".join(variant), " ".join(variant)))


def test_curves_survive_what_logs_hold():
    points = [
        {"step": 1, "loss": 0.0, "hidden": float("nan")},
        {"step": 2, "loss": float("inf"), "hidden": 1.0},
    ]
    assert set(loss_curves({"a": points, "nothing": [], "zero": [{"step": 1, "loss": 0.0}]})) == {"a"}
    assert metric_curves({"a": [(1, float("nan"))]}, "f1", None) == {}
    assert set(metric_curves({"a": [(1, 0.5)]}, "f1", None)) == {"a"}


def test_a_long_log_stays_small():
    many = [{"step": step, "loss": 1 / step} for step in range(1, 50_000)]
    assert len(loss_curves({"a": many})["a"]) < 20_000


def test_a_term_that_is_the_loss_is_drawn_once():
    points = [{"step": step, "loss": 1 / step, "prediction": 1 / step} for step in (1, 2, 3)]
    drawing = loss_curves({"a": points})["a"]
    assert ">prediction<" in drawing
    assert ">loss<" not in drawing


def test_colours_follow_the_page():
    drawing = trade_off(FULL)
    assert "var(--ink)" in drawing
    assert "var(--series-1)" in drawing
    assert "#010101" not in drawing
