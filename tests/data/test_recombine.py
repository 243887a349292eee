from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.recombine import recombined
from pipeline.data.tasks.table import read_task
from pipeline.errors import DataError

TEXTS = st.lists(st.text("ab cd", min_size=1, max_size=8), min_size=1, max_size=12)


@given(TEXTS, st.integers(0, 30), st.integers(0, 99))
def test_pairs_are_new_and_the_same_for_the_same_seed(texts: list[str], count: int, seed: int) -> None:
    seconds = texts[::-1]
    found = recombined(texts, seconds, count, seed)
    made = [(texts[row], seconds[other]) for row, other in found]
    assert len(made) == len(set(made)) <= count
    assert not set(made) & set(zip(texts, seconds, strict=True))
    assert all(first != second for first, second in made)
    assert found == recombined(texts, seconds, count, seed)


def test_every_second_pair_shares_a_rarer_word() -> None:
    words = ["otter", "badger", "heron", "lizard", "sparrow", "walrus"]
    firsts = [f"the {word} sees it number {number}" for number, word in enumerate(words * 3)]
    seconds = [f"a {word} was seen by {number + 100}" for number, word in enumerate(words * 3)]
    found = recombined(firsts, seconds, 20, 1)
    near = [words[row % 6] == words[other % 6] for row, other in found[1::2]]
    assert all(near)
    assert not all(words[row % 6] == words[other % 6] for row, other in found[::2])


def write(folder: Path, *, pairs: bool) -> TaskConfig:
    second = "\tother" if pairs else ""
    for name in ("train", "dev"):
        rows = [f"row {n} of text{f'{chr(9)}word {n} there' if pairs else ''}\t{n % 2}" for n in range(10)]
        (folder / f"{name}.tsv").write_text("\n".join([f"text{second}\tlabel", *rows]) + "\n")
    return TaskConfig(
        train=str(folder / "train.tsv"),
        dev=str(folder / "dev.tsv"),
        text_pair="other" if pairs else None,
        recombined=1.5,
    )


def test_they_are_unlabelled_rows_of_the_task_with_ids_of_their_own(tmp_path: Path) -> None:
    task = read_task(write(tmp_path, pairs=True), 3)
    made = task.splits["unlabelled"]
    assert made.num_rows == 15
    assert made["label"].null_count == 15
    ids = [row_id for table in task.splits.values() for row_id in table["row_id"].to_pylist()]
    assert len(ids) == len(set(ids)) == 35


def test_a_task_of_single_texts_has_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"task.recombined is 1.5, but the rows of .* have one text: set it to 0"):
        read_task(write(tmp_path, pairs=False), 3)
