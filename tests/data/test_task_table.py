"""Whole tasks, from files to tables and back."""

import csv
import json
import subprocess
import sys

import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.paths import file_sources
from pipeline.data.tasks.table import load_task, read_task, save_task
from pipeline.errors import ConfigError, DataError

WORDS = ("good", "bad", "odd")


def write_csv(path, rows, names=("text", "label")):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return str(path)


def numbered(count, start=0):
    return [(f"text {index}", WORDS[index % 3]) for index in range(start, start + count)]


def config(folder, train=None, dev=None, names=("text", "label"), **options):
    return TaskConfig(
        train=write_csv(folder / "train.csv", numbered(30) if train is None else train, names),
        dev=write_csv(folder / "dev.csv", numbered(6, 100) if dev is None else dev, names),
        **options,
    )


def ids(data, split):
    return data.splits[split].column("row_id").to_pylist()


def labels(data, split):
    return [
        None if label is None else data.label_names[label] for label in data.splits[split].column("label").to_pylist()
    ]


def test_rows_keep_their_texts_and_the_names_of_their_labels(tmp_path):
    data = read_task(config(tmp_path, name="mine"), 0)
    assert (data.name, data.kind, data.metric, data.max_length) == ("mine", "classification", "accuracy", 128)
    assert data.label_names == ("bad", "good", "odd")
    assert data.splits["train"].schema == pa.schema(
        [("row_id", pa.int64()), ("text", pa.string()), ("label", pa.int64())]
    )
    found = zip(data.splits["train"].column("text").to_pylist(), labels(data, "train"), strict=True)
    assert list(found) == numbered(30)
    assert ids(data, "dev") == list(range(30, 36))


def test_dev_labels_are_matched_by_name_not_by_order(tmp_path):
    # in dev 'odd' is the only and therefore the first label
    data = read_task(config(tmp_path, dev=[("x", "odd")]), 0)
    assert labels(data, "dev") == ["odd"]
    with pytest.raises(DataError, match=r"dev\.csv:2 has label 'fine', which no training row has"):
        read_task(config(tmp_path, dev=[("x", "fine")]), 0)


def test_a_sample_leaves_the_rest_without_labels(tmp_path):
    full = config(tmp_path, train=numbered(60))
    draw = {"train_rows": 12, "dev_rows": 3, "unlabelled_rows": "rest"}
    data = read_task(full.model_copy(update=draw), 7)
    assert sorted(ids(data, "train") + ids(data, "unlabelled")) == list(range(60))
    assert set(labels(data, "unlabelled")) == {None}
    assert data.splits["unlabelled"].schema.field("label").type == pa.int64()
    assert data.statistics["labels"]["train"] == {"bad": 4, "good": 4, "odd": 4}
    assert data.statistics["labels"]["dev"] == {"bad": 1, "good": 1, "odd": 1}
    assert data == read_task(full.model_copy(update=draw), 7)
    assert ids(data, "train") != ids(read_task(full.model_copy(update=draw), 8), "train")
    some = read_task(full.model_copy(update=draw | {"unlabelled_rows": 5}), 7)
    assert ids(some, "train") == ids(data, "train")
    assert len(set(ids(some, "unlabelled")) & set(ids(data, "unlabelled"))) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_rows": 31}, r"task\.train_rows is 31, but .*train\.csv has 30 usable rows"),
        ({"dev_rows": 7}, r"task\.dev_rows is 7, but .*dev\.csv has 6"),
        ({"train_rows": 2}, r"task\.train_rows is 2, but the task has 3 labels"),
        ({"unlabelled_rows": 3}, r"unlabelled_rows is 3, but 0 training rows are left"),
        ({"train_rows": 28, "unlabelled_rows": 3}, r"unlabelled_rows is 3, but 2 training rows are left"),
        ({"text": "texts"}, r"no column 'texts', only 'text', 'label': did you mean 'text'"),
    ],
)
def test_asking_for_what_is_not_there_is_refused(tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        read_task(config(tmp_path, **options), 0)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "has no rows"),
        ([("a", "x"), ("b", "x")], "every row has label 'x'"),
        ([(" ", "x"), ("", "y")], r"every text is empty \(2 rows\)"),
    ],
)
def test_rows_that_are_no_task_are_refused(tmp_path, train, message):
    with pytest.raises(DataError, match=message):
        read_task(config(tmp_path, train=train), 0)


def test_empty_texts_are_dropped_from_training_and_kept_in_dev(tmp_path):
    train = [("", "never learned"), *numbered(6), ("  ", "good")]
    data = read_task(config(tmp_path, train=train, dev=[("", "odd"), ("text 2", "odd")]), 0)
    assert ids(data, "train") == [1, 2, 3, 4, 5, 6]
    assert data.label_names == ("bad", "good", "odd")
    assert data.splits["dev"].num_rows == 2
    assert data.statistics["empty_dropped"] == {"train": 2, "unlabelled": 0}
    assert data.statistics["empty_kept"] == {"dev": 1}
    assert data.statistics["repeated"] == {"dev": {"train": {"rows": 1, "other_label": 0}}}


def test_dev_rows_that_were_learned_are_counted_and_told(tmp_path):
    train = [*numbered(30), ("Twice  seen", "good"), ("twice seen", "bad")]
    dev = [("TEXT 0 ", "good"), ("text\t1", "odd"), ("twice SEEN", "bad"), ("new", "odd")]
    data = read_task(config(tmp_path, train=train, dev=dev, unlabelled_rows="rest", train_rows=32), 0)
    assert data.statistics["repeated"]["dev"]["train"] == {"rows": 3, "other_label": 1}
    (warning,) = data.statistics["warnings"]
    assert warning.startswith("3 of 4 dev rows stand in the training rows too, 1 of them with another label: ")
    assert read_task(config(tmp_path), 0).statistics["warnings"] == []


def test_a_tsv_that_pandas_quoted_is_told(tmp_path):
    import pandas as pd

    rows = {"text": ['He said "no", twice', "plain", '"a quotation"', "b", "c", "d"], "label": ["x", "y"] * 3}
    for name in ("train", "dev"):
        pd.DataFrame(rows).to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False)
    data = read_task(TaskConfig(train=str(tmp_path / "train.tsv"), dev=str(tmp_path / "dev.tsv")), 0)
    found = [warning for warning in data.statistics["warnings"] if "quoted" in warning]
    assert len(found) == 2
    assert 'train.tsv are quoted, such as "He said ""no"", twice": .tsv is read without quoting' in found[0]


def test_labels_that_nearly_every_row_has_alone_are_doubted(tmp_path):
    train = [(f"text {number}", f"id{number}") for number in range(20)]
    (warning,) = read_task(config(tmp_path, train=train, dev=[("x", "id1")]), 0).statistics["warnings"]
    assert warning.startswith("the task has 20 labels on 20 training rows ('id0', 'id1', 'id10' and so on)")


def test_pairs_and_extra_text(tmp_path):
    names = ("a", "b", "label")
    rows = [("x", "y", "no"), ("x", "", "yes"), ("x", "z", "yes")]
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps({"a": "new", "b": "pair"}) + "\n")
    given = config(tmp_path, rows, rows, names, text="a", text_pair="b", unlabelled=(str(more),))
    data = read_task(given, 0)
    assert data.pair
    assert data.statistics["empty_dropped"]["train"] == 1  # half a pair is not a pair
    assert data.splits["unlabelled"].to_pylist() == [{"row_id": 6, "text": "new", "text_pair": "pair", "label": None}]
    assert file_sources(given) == (given.train, given.dev, str(more))


def test_the_rest_and_extra_text_make_one_split(tmp_path):
    more = tmp_path / "more.txt"
    more.write_text("one\ntwo\n")
    options = {"train_rows": 27, "unlabelled_rows": "rest", "unlabelled": (str(more),)}
    data = read_task(config(tmp_path, **options), 0)
    assert data.splits["unlabelled"].num_rows == 5
    assert ids(data, "unlabelled")[-2:] == [36, 37]


def test_regression(tmp_path):
    rows = [("a", "0.5"), ("b", "4"), ("c", "2")]
    given = config(tmp_path, rows, rows, kind="regression", label_range=(0, 5), train_rows=3)
    data = read_task(given, 0)
    assert (data.kind, data.metric, data.label_names) == ("regression", "pearson_spearman", ())
    assert data.splits["train"].column("label").to_pylist() == [0.5, 4.0, 2.0]
    assert data.statistics["labels"]["dev"] == {"min": 0.5, "mean": pytest.approx(6.5 / 3), "max": 4.0}
    with pytest.raises(DataError, match=r"dev\.csv:2 has label 9, outside 0 to 5"):
        read_task(config(tmp_path, rows, [("a", "9")], kind="regression", label_range=(0, 5)), 0)
    with pytest.raises(DataError, match="every row has label 3: there is nothing to learn"):
        read_task(config(tmp_path, [("a", "3"), ("b", "3.0")], rows, kind="regression"), 0)


def test_a_saved_task_is_the_same_task_in_the_same_bytes(tmp_path):
    data = read_task(config(tmp_path, train_rows=9, unlabelled_rows=4), 3)
    for folder in ("one", "two"):
        save_task(data, tmp_path / folder)
    assert load_task(tmp_path / "one") == data
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["dev.parquet", "task.json", "train.parquet", "unlabelled.parquet"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_damaged_task_is_refused(tmp_path):
    save_task(read_task(config(tmp_path), 3), tmp_path / "task")
    (tmp_path / "task" / "dev.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="holds no readable task"):
        load_task(tmp_path / "task")
    with pytest.raises(DataError, match="holds no readable task"):
        load_task(tmp_path)


@pytest.fixture
def hub_folder(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["world", "sports"])}
    )
    for split, values in (("train", [1, 0, 1]), ("validation", [0, 1, -1])):
        rows = {"text": [f"{split} {index}" for index in range(3)], "label": values}
        (folder / "data").mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(rows, features=features).to_parquet(
            folder / "data" / f"{split}-00000-of-00001.parquet"
        )
    return folder


def test_a_hub_folder_speaks_with_its_own_class_names(hub_folder):
    given = TaskConfig(hub=str(hub_folder), hub_splits=("train", "train"))
    data = read_task(given, 0)
    assert data.label_names == ("world", "sports")
    assert labels(data, "dev") == ["sports", "world", "sports"]
    assert file_sources(given) == (str(hub_folder),)
    with pytest.raises(DataError, match=r"\[validation\] row 3 has no label"):
        read_task(TaskConfig(hub=str(hub_folder)), 0)
    with pytest.raises(DataError, match="cannot be loaded") as found:
        read_task(TaskConfig(hub=str(hub_folder), hub_splits=("train", "test")), 0)
    assert "\n" not in str(found.value)


def swapped():
    """Two splits that number the same two classes differently; a text says which class its row is of."""
    import datasets

    splits = {}
    for split, names in (("train", ["neg", "pos"]), ("validation", ["pos", "neg"])):
        features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
        rows = {"text": [names[index % 2] for index in range(6)], "label": [index % 2 for index in range(6)]}
        splits[split] = datasets.Dataset.from_dict(rows, features=features)
    return datasets.DatasetDict(splits)


@pytest.mark.parametrize("kind", ["save_to_disk", "parquet"])
def test_each_split_numbers_its_classes_for_itself(tmp_path, monkeypatch, kind):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    if kind == "save_to_disk":
        swapped().save_to_disk(folder)
    else:
        folder.mkdir()
        for split, rows in swapped().items():
            rows.to_parquet(folder / f"{split}.parquet")
    data = read_task(TaskConfig(hub=str(folder)), 0)
    assert data.label_names == ("neg", "pos")
    for split in ("train", "dev"):
        assert labels(data, split) == data.splits[split].column("text").to_pylist()


def test_a_saved_folder_says_what_it_lacks(tmp_path):
    swapped().save_to_disk(tmp_path / "many")
    with pytest.raises(DataError, match=r"no split 'test', only train, validation: correct task\.hub_splits"):
        read_task(TaskConfig(hub=str(tmp_path / "many"), hub_splits=("train", "test")), 0)
    with pytest.raises(DataError, match=r"hub_config is 'de', but .*save_to_disk"):
        read_task(TaskConfig(hub=str(tmp_path / "many"), hub_config="de"), 0)
    swapped()["train"].save_to_disk(tmp_path / "one")
    with pytest.raises(DataError, match="one data set without splits"):
        read_task(TaskConfig(hub=str(tmp_path / "one")), 0)


def test_a_hub_folder_of_csv_reads_null_and_na_as_the_texts_they_are(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    folder.mkdir()
    for split in ("train", "validation"):
        write_csv(folder / f"{split}.csv", [("null", "yes"), ("NA", "no"), ("None", "yes"), ("nan", "NA")])
    data = read_task(TaskConfig(hub=str(folder)), 0)
    assert data.splits["train"].column("text").to_pylist() == ["null", "NA", "None", "nan"]
    assert data.label_names == ("NA", "no", "yes")


def test_packages_need_to_know_how_many_rows():
    with pytest.raises(ConfigError, match=r"give numbers for task\.train_rows \(None\), dev_rows \(8\)"):
        read_task(TaskConfig(packages=("json", "email"), dev_rows=8), 0)


def test_label_names_may_be_keyed_by_what_yaml_makes_of_values():
    assert TaskConfig(hub="x", label_names={0: "no", True: "yes", "2": "two"}).label_names == {
        "0": "no",
        "true": "yes",
        "2": "two",
    }


@pytest.mark.parametrize(
    "options",
    [
        {"metric": "accuracy", "kind": "regression", "hub": "x"},
        {"metric": "pearson_spearman", "hub": "x"},
        {"dev": "d.csv", "hub": "x"},
        {"train": "t.csv"},
    ],
)
def test_contradictions_are_refused(options):
    with pytest.raises(ValidationError):
        TaskConfig(**options)


def test_missing_files_are_found_before_anything_is_read(tmp_path):
    given = TaskConfig(train=str(tmp_path / "t.csv"), dev=str(tmp_path / "d.csv"))
    with pytest.raises(DataError, match=r"t\.csv \(task\.train\) does not exist"):
        file_sources(given)


def test_knowing_the_paths_imports_nothing_heavy():
    code = (
        "import sys, pipeline.data.tasks.paths; "
        "print([m for m in ('numpy', 'pyarrow', 'torch', 'datasets') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
