"""Labels meet by name, whatever the order they come in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.task import TaskConfig, label_value
from pipeline.data.tasks.labels import (
    align_labels,
    label_indices,
    regression_labels,
    row_label_names,
    task_label_names,
)
from pipeline.data.tasks.rows import Rows
from pipeline.data.tasks.table import read_task
from pipeline.errors import DataError, ModelError

name_sets = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=2, max_size=6, unique=True)


def rows(labels):
    return Rows("t.csv", ["x"] * len(labels), None, labels, range(2, len(labels) + 2), by_line=True)


def read(labels, names):
    return row_label_names(rows(labels), names)


@given(name_sets.flatmap(lambda names: st.tuples(st.just(names), st.permutations(names))))
def test_aligned_indices_point_at_the_same_names(pair):
    ours, theirs = pair
    model = {index: name.upper() for index, name in enumerate(theirs)}
    assert [model[index].lower() for index in align_labels(model, ours)] == ours


@pytest.mark.parametrize("theirs", [["yes", "no", "maybe"], ["yes"], ["yes", "nope"], ["yes", "YES"]])
def test_names_that_differ_are_named_on_both_sides(theirs):
    with pytest.raises(ModelError, match=r"'yes'.*the task's 'yes', 'no': rename") as found:
        align_labels(dict(enumerate(theirs)), ["yes", "no"])
    assert "\n" not in str(found.value)


def test_generic_names_say_how_to_name_them():
    with pytest.raises(ModelError, match=r"'LABEL_0', 'LABEL_1'.*task\.label_names, or fine-tune"):
        align_labels({0: "LABEL_0", 1: "LABEL_1"}, ["negative", "positive"])
    assert align_labels({0: "LABEL_0", 1: "LABEL_1"}, ["LABEL_1", "LABEL_0"]) == [1, 0]


@pytest.mark.parametrize(
    ("values", "names", "expected"),
    [
        (["b", "a", "b"], {}, ("a", "b")),
        (["10", "2", "1"], {}, ("1", "2", "10")),
        ([1, 0.0, 1.0], {}, ("0", "1")),
        ([True, False], {}, ("false", "true")),
        (["1.5", "10", "2", "x"], {}, ("1.5", "2", "10", "x")),
        (["0", "1", "2"], {"2": "high", "0": "low", "1": "low"}, ("high", "low")),
        (["0", "1"], {"0": "no", "1": "yes", "2": "never seen"}, ("no", "yes")),
    ],
)
def test_names_are_values_sorted_or_as_the_configuration_orders_them(values, names, expected):
    assert task_label_names(read(values, names), names, "t.csv") == expected


@given(name_sets, st.randoms(use_true_random=False))
def test_indices_lead_back_to_the_names(names, random):
    labels = [*names, *random.choices(names, k=10)]
    random.shuffle(labels)
    label_names = task_label_names(labels, {}, "t.csv")
    assert [label_names[index] for index in label_indices(rows(labels), labels, label_names)] == labels


@given(st.permutations(["10", "2", "1.5", "no", "yes"]))
def test_the_order_in_which_label_names_are_written_says_nothing(values):
    names = TaskConfig(hub="x", label_names={value: f"name of {value}" for value in values}).label_names
    assert list(names) == ["1.5", "2", "10", "no", "yes"]


def test_the_same_label_names_give_the_same_indices(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\none,0\ntwo,1\nthree,0\n")
    file = str(tmp_path / "rows.csv")
    for names in ({"0": "neg", "1": "pos"}, {"1": "pos", "0": "neg"}):
        data = read_task(TaskConfig(train=file, dev=file, label_names=names), 0)
        assert data.label_names == ("neg", "pos")
        assert data.splits["train"]["label"].to_pylist() == [0, 1, 0]


def test_a_row_without_a_label_or_with_an_unnamed_one_is_pointed_at():
    for missing in (None, "", "  ", float("nan")):
        with pytest.raises(DataError, match=r"t\.csv:3 has no label"):
            read(["a", missing], {})
    with pytest.raises(DataError, match=r"t\.csv:3 has label '7', not one of '0', '1'"):
        read([1, 7], {"0": "no", "1": "yes"})


def task(folder, values, **options):
    """A task whose labels are values of JSON."""
    lines = [json.dumps({"text": f"text {number}", "label": value}) for number, value in enumerate(values)]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    return TaskConfig(train=str(folder / "rows.jsonl"), dev=str(folder / "rows.jsonl"), **options)


@pytest.mark.parametrize(
    "pair", [("positive", "POSITIVE"), ("1", "1.0"), (1, "1.0"), (True, "True"), ("a b", "a  b"), ("1e1", 10)]
)
def test_one_class_written_twice_is_refused_with_both_places(tmp_path, pair):
    values = ["other", *pair, "other"]
    with pytest.raises(DataError, match=r"rows\.jsonl:2\) and .*rows\.jsonl:3\) are written differently") as found:
        read_task(task(tmp_path, values), 0)
    assert all(repr(label_value(value)) in str(found.value) for value in pair)
    names = {label_value(value): label_value(value) for value in (*pair, "other")}
    assert len(read_task(task(tmp_path, values, label_names=names), 0).label_names) == 3  # where it is meant


@pytest.mark.parametrize(
    ("value", "kind"), [(["a"], "a list"), ({"a": 1}, "a dict"), (float("inf"), "not a finite number")]
)
def test_what_is_no_class_is_refused(tmp_path, value, kind):
    with pytest.raises(DataError, match=rf"rows\.jsonl:2 has label .*, {kind}.*: give each row one label"):
        read_task(task(tmp_path, ["a", value, "b"]), 0)


def test_half_a_character_is_no_label(tmp_path):
    with pytest.raises(DataError, match=r"rows\.jsonl:2 has label '\\ud83d', which holds half a character"):
        read_task(task(tmp_path, ["a", "\ud83d", "b"]), 0)


def test_measurements_are_no_classes_unless_it_is_said(tmp_path):
    values = [number / 7 for number in range(30)]
    with pytest.raises(
        DataError, match=r"has 30 labels that are numbers, such as 0\.14.*: set task\.kind to regression"
    ):
        read_task(task(tmp_path, values), 0)
    assert len(read_task(task(tmp_path, values, kind="classification"), 0).label_names) == 30
    assert len(read_task(task(tmp_path, [number / 2 for number in range(9)] * 2), 0).label_names) == 9  # marks
    assert len(read_task(task(tmp_path, list(range(30)) * 2), 0).label_names) == 30


def test_a_number_is_what_files_hold_and_not_what_python_takes():
    assert regression_labels(rows(["1", "-2.5", " 3. ", ".5", "1e-3"]), None).tolist() == [1, -2.5, 3, 0.5, 0.001]
    for value in ("1_5", "\u0661", "1,5", "0x1", "infinity"):
        with pytest.raises(DataError, match=r"t\.csv:3 has label"):
            regression_labels(rows([1, value]), None)


def test_one_label_is_no_task():
    with pytest.raises(DataError, match="every row has label 'a'"):
        task_label_names(["a", "a"], {}, "t.csv")


def test_a_label_unknown_to_training_is_pointed_at():
    with pytest.raises(DataError, match=r"t\.csv:3 has label 'c', which no training row has \('a', 'b'\)"):
        label_indices(rows(["a", "c"]), ["a", "c"], ("a", "b"))


@given(st.lists(st.floats(0, 5), min_size=1))
def test_numbers_are_read_as_they_are_or_as_text(numbers):
    assert regression_labels(rows(numbers), (0, 5)).tolist() == numbers
    assert regression_labels(rows([str(number) for number in numbers]), None).tolist() == numbers


@pytest.mark.parametrize("value", ["nan", float("nan"), "inf", "good", "", None, True, [1]])
def test_what_is_no_number_is_pointed_at(value):
    with pytest.raises(DataError, match=r"t\.csv:3 has .*label.*task\.kind is regression"):
        regression_labels(rows([1, value]), None)


def test_a_number_out_of_range_is_pointed_at():
    with pytest.raises(DataError, match=r"t\.csv:3 has label 5\.5, outside 0 to 5: .*task\.label_range"):
        regression_labels(rows([5, 5.5]), (0, 5))
