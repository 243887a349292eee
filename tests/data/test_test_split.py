"""Rows that judge are kept apart from rows that choose: a test file, a third split, a share of the training rows."""

import csv
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.paths import file_sources
from pipeline.data.tasks.table import TaskData, read_task
from pipeline.errors import DataError


def written(path: Path, first: int, count: int) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [("text", "label"), *((f"text {row}", ("good", "bad")[row % 2]) for row in range(first, first + count))]
        )
    return str(path)


def task(folder: Path, *, test: tuple[int, int] | None = (300, 10), **options: object) -> TaskConfig:
    return TaskConfig.model_validate(
        {
            "train": written(folder / "train.csv", 0, 40),
            "dev": written(folder / "dev.csv", 200, 8),
            **({"test": written(folder / "test.csv", *test)} if test else {}),
            **options,
        }
    )


def rows(data: TaskData, split: str) -> list[int]:
    found: list[int] = data.splits[split].column("row_id").to_pylist()
    return found


def test_a_test_file_judges_and_dev_chooses(tmp_path: Path) -> None:
    config = task(tmp_path)
    data = read_task(config, 0)
    assert data.judging == ("test",)
    assert rows(data, "dev") == list(range(40, 48))
    assert rows(data, "test") == list(range(48, 58))
    assert [Path(path).name for path in file_sources(config)] == ["train.csv", "dev.csv", "test.csv"]
    assert read_task(task(tmp_path, test=None), 0).judging == ("dev",)


def test_a_sample_of_dev_leaves_the_test_rows_whole(tmp_path: Path) -> None:
    data = read_task(task(tmp_path, dev_rows=4), 0)
    assert (len(rows(data, "dev")), len(rows(data, "test"))) == (4, 10)


def test_a_share_of_the_training_rows_chooses_and_dev_judges(tmp_path: Path) -> None:
    data = read_task(task(tmp_path, test=None, validation_share=0.25), 0)
    assert data.judging == ("test",)
    assert (len(rows(data, "train")), len(rows(data, "dev"))) == (30, 10)
    assert sorted(rows(data, "train") + rows(data, "dev")) == list(range(40))
    assert rows(data, "test") == list(range(40, 48))
    assert sorted(data.splits["dev"].column("label").to_pylist()) == [0] * 5 + [1] * 5  # classes keep their shares
    assert rows(read_task(task(tmp_path, test=None, validation_share=0.25), 1), "dev") != rows(data, "dev")


def test_every_development_split_of_a_glue_task_judges_then(tmp_path: Path) -> None:
    header = "index\tsentence1\tsentence2\tgold_label"
    for name, count in (("train", 30), ("dev_matched", 6), ("dev_mismatched", 6)):
        lines = (
            f"{row}\t{name} {row}\tb {row}\t{('neutral', 'entailment', 'contradiction')[row % 3]}"
            for row in range(count)
        )
        (tmp_path / f"{name}.tsv").write_text("\n".join([header, *lines]) + "\n")
    data = read_task(TaskConfig(name="mnli", dir=str(tmp_path), validation_share=0.2), 0)
    assert data.judging == ("test", "test_mismatched")
    assert len(rows(data, "dev")) == 6


def test_test_rows_that_were_learned_are_refused_and_those_that_chose_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="10 of 10 test rows stand in the training rows too, so they judge nothing"):
        read_task(task(tmp_path, test=(0, 10)), 0)
    told = read_task(task(tmp_path, test=(204, 10)), 0).statistics["warnings"]
    assert told == [
        "4 of 10 test rows stand in the dev rows too, which chose the checkpoints; take them out of one of the two"
    ]


def test_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"task.validation_share is set beside a test split"):
        task(tmp_path, validation_share=0.5)
    with pytest.raises(ValidationError, match=r"task.test is 't.csv' but task.train is empty"):
        TaskConfig(dir="SST-2", name="sst2", test="t.csv")
    with pytest.raises(
        DataError, match=r"leaves 0 to choose by and 40 to learn from: at least 2 are needed on each side"
    ):
        read_task(task(tmp_path, test=None, validation_share=0.001), 0)
