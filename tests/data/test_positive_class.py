"""F1 is of the class that is meant: said by 0 and 1, or by the user, and never by the order of letters."""

import pytest

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.positive_class import check_positive_class, positive_class
from pipeline.data.tasks.table import load_task, read_task, save_task
from pipeline.errors import ConfigError, DataError

FRAUD = ("fraud", "ok")


@pytest.mark.parametrize(
    ("metric", "names", "values", "wanted", "expected"),
    [
        ("f1", ("0", "1"), {}, None, "1"),
        ("f1", ("ok", "bad"), {"0": "ok", "1": "bad"}, None, "bad"),
        ("accuracy_and_f1", ("not_equivalent", "equivalent"), {"0": "not_equivalent", "1": "equivalent"}, None,
         "equivalent"),
        ("f1", FRAUD, {}, "fraud", "fraud"),
        ("f1", FRAUD, {"7": "fraud", "8": "ok"}, "7", "fraud"),
        ("f1", ("a", "b", "c"), {}, "a", "a"),
        ("f1", ("a", "b", "c"), {}, None, None),
        ("accuracy", FRAUD, {}, None, None),
        ("accuracy", FRAUD, {}, "fraud", None),
        ("pearson_spearman", (), {}, None, None),
    ],
)  # fmt: skip
def test_the_class_is_that_of_value_1_or_the_one_named(metric, names, values, wanted, expected):
    assert positive_class(metric, names, values, wanted) == expected


@pytest.mark.parametrize("values", [{}, {"fraud": "fraud", "ok": "ok"}, {"1": "fraud", "2": "ok"}])
def test_two_names_that_are_not_0_and_1_leave_it_open(values):
    with pytest.raises(DataError, match=r"task\.metric f1 .*'fraud', 'ok'.*set task\.positive_label") as found:
        positive_class("f1", FRAUD, values, None)
    assert "\n" not in str(found.value)


def test_a_label_that_is_not_there_cannot_be_found():
    with pytest.raises(DataError, match=r"task\.positive_label is 'scam', none of the labels 'fraud', 'ok'"):
        positive_class("accuracy", FRAUD, {}, "scam")


@pytest.mark.parametrize(
    "options",
    [
        {"name": "qnli", "dir": "QNLI", "metric": "f1"},
        {"train": "t.csv", "dev": "d.csv", "metric": "f1", "label_names": {"y": "fraud", "n": "ok"}},
        {"packages": ("json", "email"), "metric": "accuracy_and_f1"},
    ],
)
def test_where_the_labels_are_known_nothing_has_to_be_read(options):
    with pytest.raises(ConfigError, match=r"set task\.positive_label"):
        check_positive_class(TaskConfig(**options))
    check_positive_class(TaskConfig(**options | {"metric": "accuracy"}))


def test_glues_own_metrics_know_their_class():
    for name in ("mrpc", "qqp", "sst2", "stsb", "mnli"):
        check_positive_class(TaskConfig(name=name, dir="x"))


def test_a_label_may_be_named_as_yaml_reads_it():
    assert TaskConfig(hub="x", positive_label=True).positive_label == "true"
    assert TaskConfig(hub="x", positive_label=1).positive_label == "1"
    with pytest.raises(ValueError, match="a regression has no labels"):
        TaskConfig(hub="x", kind="regression", positive_label="1")


def test_a_task_keeps_its_class(tmp_path):
    rows = "text,label\n" + "".join(f"text {number},{FRAUD[number % 2]}\n" for number in range(6))
    (tmp_path / "rows.csv").write_text(rows)
    file = str(tmp_path / "rows.csv")
    with pytest.raises(DataError, match=r"'fraud', 'ok'"):
        read_task(TaskConfig(train=file, dev=file, metric="f1"), 0)
    data = read_task(TaskConfig(train=file, dev=file, metric="f1", positive_label="fraud"), 0)
    save_task(data, tmp_path / "task")
    assert load_task(tmp_path / "task").positive == "fraud"
