"""The nine GLUE tasks, read from small copies of their official layout."""

import pytest

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.glue import GLUE, glue_task
from pipeline.data.tasks.paths import file_sources
from pipeline.data.tasks.table import read_task
from pipeline.errors import ConfigError, DataError

# name -> (folder, header, two rows, what is expected of the first row)
LAYOUTS = {
    "cola": ("CoLA", None, ("gj04\t1\t\tThey sing.", "gj04\t0\t*\tSing they them."), ("They sing.",)),
    "sst2": ("SST-2", "sentence\tlabel", ('a "fine film\t1', "a bore\t0"), ('a "fine film',)),
    "mrpc": (
        "MRPC",
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        ("1\t7\t8\tHe ran .\tHe was running .\r", "0\t9\t10\tHe ran .\tShe sat .\r"),
        ("He ran .", "He was running ."),
    ),
    "stsb": (
        "STS-B",
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
        ("0\tg\tf\t2012\t1\tn\tn\tA plane.\tAn air plane.\t5.000", "1\tg\tf\t2012\t1\tn\tn\tA.\tB.\t0"),
        ("A plane.", "An air plane."),
    ),
    "qqp": (
        "QQP",
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
        ("1\t2\t3\tWho?\tWho is it?\t1", "4\t5\t6\tWhy?\tWhen?\t0"),
        ("Who?", "Who is it?"),
    ),
    "mnli": (
        "MNLI",
        "index\tsentence1_parse\tsentence1\tsentence2\tlabel1\tgold_label",
        ("0\t(p)\tIt rains.\tIt is wet.\tneutral\tentailment", "1\t(p)\tA.\tB.\tneutral\tcontradiction"),
        ("It rains.", "It is wet."),
    ),
    "qnli": (
        "QNLI",
        "index\tquestion\tsentence\tlabel",
        ("0\tWho?\tAda did.\tentailment", "1\tWho?\tIn May.\tnot_entailment"),
        ("Who?", "Ada did."),
    ),
    "rte": (
        "RTE",
        "index\tsentence1\tsentence2\tlabel",
        ("0\tA and B.\tA.\tentailment", "1\tA.\tB.\tnot_entailment"),
        ("A and B.", "A."),
    ),
    "wnli": (
        "WNLI",
        "index\tsentence1\tsentence2\tlabel",
        ("0\tA and B.\tA.\t1", "1\tA.\tB.\t0"),
        ("A and B.", "A."),
    ),
}
FIRST_LABEL = {
    "cola": "acceptable",
    "sst2": "positive",
    "mrpc": "equivalent",
    "qqp": "duplicate",
    "mnli": "entailment",
    "qnli": "entailment",
    "rte": "entailment",
    "wnli": "entailment",
}
METRICS = {
    "cola": "matthews",
    "mrpc": "accuracy_and_f1",
    "qqp": "accuracy_and_f1",
    "stsb": "pearson_spearman",
}


def write_layout(root, name):
    folder, header, rows, _ = LAYOUTS[name]
    home = root / folder
    home.mkdir()
    text = "\n".join([header, *rows] if header else rows) + "\n"
    files = ["train.tsv", "dev_matched.tsv", "dev_mismatched.tsv"] if name == "mnli" else ["train.tsv", "dev.tsv"]
    for file in files:
        (home / file).write_bytes(text.encode())
    return home


def test_the_table_holds_the_nine_tasks():
    assert set(GLUE) == set(LAYOUTS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_task_is_read_from_its_official_layout(tmp_path, name):
    folder, _, _, texts = LAYOUTS[name]
    home = write_layout(tmp_path, name)
    data = read_task(TaskConfig(name=folder, dir=str(home)), seed=0)  # the folder's spelling: SST-2, STS-B
    row = data.splits["train"].slice(0, 1).to_pylist()[0]
    assert data.name == name
    assert tuple(row[column] for column in ("text", "text_pair")[: len(texts)]) == texts
    assert data.pair == (len(texts) == 2)
    assert data.max_length == (128 if data.pair else 64)
    assert data.metric == METRICS.get(name, "accuracy")
    if name == "stsb":
        assert (data.kind, data.label_range, row["label"], data.label_names) == (
            "regression",
            (0.0, 5.0),
            5.0,
            (),
        )
    else:
        assert data.label_names[row["label"]] == FIRST_LABEL[name]
    dev = ["dev", "dev_mismatched"] if name == "mnli" else ["dev"]
    assert list(data.splits) == ["train", *dev]
    ids = [row_id for table in data.splits.values() for row_id in table.column("row_id").to_pylist()]
    assert ids == list(range(2 * len(data.splits)))


def test_the_folder_above_serves_as_well_whatever_the_case_of_the_names(tmp_path):
    home = write_layout(tmp_path, "sst2")
    home.rename(tmp_path / "sst_2")
    config = TaskConfig(name="Sst-2", dir=str(tmp_path))
    assert read_task(config, 0).splits["dev"].num_rows == 2
    assert file_sources(config) == tuple(str(tmp_path / "sst_2" / name) for name in ("train.tsv", "dev.tsv"))


def test_broken_rows_of_qqp_are_left_out_and_counted(tmp_path):
    home = write_layout(tmp_path, "qqp")
    with (home / "train.tsv").open("a") as file:
        file.write("9\t9\t9\thalf a row\n")
    data = read_task(TaskConfig(name="qqp", dir=str(home)), 0)
    assert data.splits["train"].num_rows == 2
    assert data.statistics["ragged_dropped"] == {"train": 1, "unlabelled": 0, "dev": 0}


def test_broken_rows_of_other_tasks_are_errors(tmp_path):
    home = write_layout(tmp_path, "rte")
    with (home / "train.tsv").open("a") as file:
        file.write("9\thalf a row\n")
    with pytest.raises(DataError, match=r"train\.tsv:4 has 2 fields, not 4"):
        read_task(TaskConfig(name="rte", dir=str(home)), 0)


def test_a_test_file_serves_as_unlabelled_text(tmp_path):
    home = write_layout(tmp_path, "cola")
    (home / "test.tsv").write_text("index\tsentence\n0\tWe sang.\n")
    data = read_task(TaskConfig(name="cola", dir=str(home), unlabelled=(str(home / "test.tsv"),)), 0)
    assert data.splits["unlabelled"].to_pylist() == [{"row_id": 4, "text": "We sang.", "label": None}]


def test_label_names_can_be_those_of_a_model(tmp_path):
    home = write_layout(tmp_path, "sst2")
    names = {0: "LABEL_0", 1: "LABEL_1"}
    data = read_task(TaskConfig(name="sst2", dir=str(home), label_names=names), 0)
    assert data.label_names == ("LABEL_0", "LABEL_1")


def test_renaming_one_label_leaves_the_documented_order(tmp_path):
    home = write_layout(tmp_path, "rte")
    names = {"not_entailment": "no", "entailment": "yes"}
    assert read_task(TaskConfig(name="rte", dir=str(home), label_names=names), 0).label_names == ("yes", "no")
    mnli = GLUE["mnli"].label_names | TaskConfig(dir="d", label_names={"contradiction": "no"}).label_names
    assert list(mnli.values()) == ["entailment", "neutral", "no"]


def test_a_name_that_is_no_task_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"'sst3' is no GLUE task .* did you mean 'sst2'"):
        glue_task("sst3")


def test_a_folder_without_the_task_says_what_was_looked_for(tmp_path):
    config = TaskConfig(name="sst2", dir=str(tmp_path))
    with pytest.raises(DataError, match=r"holds neither train\.tsv nor SST-2/train\.tsv"):
        file_sources(config)
    with pytest.raises(DataError, match="is not a folder"):
        read_task(TaskConfig(name="sst2", dir=str(tmp_path / "nowhere")), 0)


def test_a_metric_that_does_not_fit_the_task_is_refused(tmp_path):
    home = write_layout(tmp_path, "stsb")
    with pytest.raises(ConfigError, match="do not fit GLUE's stsb"):
        read_task(TaskConfig(name="stsb", dir=str(home), metric="accuracy"), 0)
