"""What is told of a stage in the UI, as values, on the artifacts of a real run."""

import re
from pathlib import Path

import pytest
from tiny_run import Tiny, tiny

from tasks.presentation import figures, key, links, loss_histories, metric_rows, result_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("story"), finished=True)


def test_a_key_is_what_prefect_allows() -> None:
    assert re.fullmatch(r"[a-z0-9-]+", key("general_distillation", "loss distilled"))


def test_figures_are_flat_and_nothing_is_lost() -> None:
    nested = {"group": {"deep": {"x": 1}, "list": [1, 0.5]}, "plain": 2, "none": None, "text": "a"}
    assert figures(nested) == [("plain", 2), ("text", "a"), ("group.list", "1, 0.5"), ("group.deep.x", 1)]


def test_a_truth_value_is_said_in_words() -> None:
    assert metric_rows({"early_stop": True}, {}) == [{"figure": "early stop", "value": "yes"}]


def test_the_table_of_a_training_says_where_each_loss_began_and_ended(run: Tiny) -> None:
    artifact = run.artifact("prediction")
    curves = loss_histories(artifact.path)
    assert set(curves) == {"distilled", "random-start"}
    rows = {row["figure"]: row["value"] for row in metric_rows(artifact.metrics, curves)}
    first, last = (point["loss"] for point in (curves["distilled"][0], curves["distilled"][-1]))
    assert rows["distilled: loss"] == f"{first:.4g} \u2192 {last:.4g}"
    assert not any("learning rate" in name or name.endswith(": step") for name in rows)


def test_a_stage_that_trains_once_names_no_learner(run: Tiny) -> None:
    assert set(loss_histories(run.path("teacher"))) == {""}
    assert loss_histories(run.path("corpus")) == {}


def test_the_result_table_has_a_row_for_each_model(run: Tiny) -> None:
    import json

    found = json.loads((run.path("report") / "results.json").read_text())["results"]
    rows = {row["model"]: row for row in result_rows(found, {})}
    assert list(rows) == ["teacher", "label-only", "distilled", "random-start", "TF-IDF"]
    student = next(row for row in found if row["name"] == "distilled")
    assert rows["distilled"]["accuracy"] == f"{student['metrics']['accuracy']:.3f}"
    assert rows["distilled"]["of the teacher"].endswith("%")
    assert rows["TF-IDF"]["parameters"] == rows["TF-IDF"]["ms a batch"] == rows["teacher"]["speed"] == ""


def test_before_anything_was_timed_the_table_has_no_times() -> None:
    row = {"name": "teacher", "role": "teacher", "metrics": {"accuracy": 1.0}}
    assert list(result_rows([row], {})[0])[-1] == "parameters"
    timed = row | {"latency_ms": 1.23, "speed": (2.0, 1.91, 2.1), "latency_reliable": True}
    scattered = timed | {"latency_reliable": False}
    assert [list(shown.values())[-2:] for shown in result_rows([timed, scattered], {})] == [
        ["1.2", "2\u00d7 [1.91, 2.1]"],
        ["1.2", "not measured reliably"],
    ]


def test_over_http_everything_is_a_link(run: Tiny) -> None:
    artifact = run.artifact("report")
    text = links(artifact, "completed", "http://reports:4201/")
    base = f"http://reports:4201/{artifact.ref}/"
    assert f"[{base}]({base})" in text
    assert f"[report.html]({base}report.html)" in text
    assert "**Completed**" in text
    assert f"- evaluation: {run.artifact('evaluation').ref}" in text
    assert str(run.folder) not in text


def test_without_an_address_there_are_paths(run: Tiny) -> None:
    artifact = run.artifact("report")
    text = links(artifact, "reused", None)
    assert f"`{artifact.path.resolve()}`" in text
    assert f"`{Path(artifact.path).resolve() / 'report.html'}`" in text
    assert "](" not in text
