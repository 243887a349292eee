"""What a rehearsal reads stands for what the run will read."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from tiny_run import Tiny, tiny

from pipeline.config.corpus import CorpusConfig
from pipeline.cost.samples import sample_corpus, sample_task, sample_text
from pipeline.data.tasks.table import TaskData, load_task
from pipeline.data.tokens.table import TokenTable


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("samples"), finished=True)


@pytest.fixture
def task(run: Tiny) -> TaskData:
    return load_task(run.path("task_data"))


def test_a_smaller_task_has_rows_of_every_label_drawn_from_its_own(task: TaskData) -> None:
    found = sample_task(task, {"train": 5, "dev": 1_000, "unlabelled": 2}, seed=3)
    assert {split: table.num_rows for split, table in found.splits.items()} == {"train": 5, "dev": 24, "unlabelled": 2}
    assert set(found.splits["train"]["label"].to_pylist()) == {0, 1, 2}
    rows = {row["row_id"]: row for row in task.splits["train"].to_pylist()}
    assert [rows[row["row_id"]] for row in found.splits["train"].to_pylist()] == found.splits["train"].to_pylist()
    assert found.splits["dev"].equals(task.splits["dev"])


def test_the_draw_is_not_the_beginning_and_is_the_same_each_time(task: TaskData) -> None:
    found = sample_task(task, {"train": 12}, seed=3).splits["train"]
    assert found["row_id"].to_pylist() != list(range(12))
    assert found.equals(sample_task(task, {"train": 12}, seed=3).splits["train"])
    assert not found.equals(sample_task(task, {"train": 12}, seed=4).splits["train"])


def test_fewer_rows_than_labels_are_still_rows(task: TaskData) -> None:
    numbers = task.splits["train"].set_column(
        task.splits["train"].column_names.index("label"), "label", pa.array([float(n) for n in range(48)])
    )
    task.splits["train"] = numbers  # a regression: each label once
    assert sample_task(task, {"train": 7}, seed=0).splits["train"].num_rows == 7


def test_a_smaller_corpus_has_sequences_of_the_corpus(run: Tiny, tmp_path: Path) -> None:
    sample_corpus(run.path("corpus"), tmp_path, rows=6, seed=1)
    whole, some = (TokenTable.open(folder / "tokens") for folder in (run.path("corpus"), tmp_path))
    known = {tuple(whole.rows([row])["input_ids"][0].tolist()) for row in range(len(whole))}
    assert len(some) == 6
    assert all(tuple(some.rows([row])["input_ids"][0].tolist()) in known for row in range(6))
    assert (tmp_path / "tokenizer" / "tokenizer.json").is_file()


@pytest.fixture
def texts(tmp_path: Path) -> list[Path]:
    """Two files of numbered lines, a blank line after every tenth."""
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path in paths:
        lines = (f"{path.stem} line {n:05d} of é\n" + "\n" * (n % 10 == 9) for n in range(4_000))
        path.write_text("".join(lines), encoding="utf-8")
    return paths


def test_passages_come_from_everywhere_in_whole_lines(texts: list[Path], tmp_path: Path) -> None:
    corpus = CorpusConfig(paths=("*",))
    path, whole = sample_text(texts, corpus, tmp_path / "sample.txt", 16_000)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    known = {line for text in texts for line in text.read_text(encoding="utf-8").splitlines()}
    assert set(lines) <= known
    assert {line[0] for line in lines} == {"a", "b"}
    assert any(line > "b line 03500" for line in lines)
    size = sum(text.stat().st_size for text in texts)
    assert whole == pytest.approx(size / path.stat().st_size)
    assert 12_000 < path.stat().st_size < 24_000


def test_a_run_that_stops_early_reads_the_beginning_only(texts: list[Path], tmp_path: Path) -> None:
    corpus = CorpusConfig(paths=("*",), max_tokens=10_000)
    path, _ = sample_text(texts, corpus, tmp_path / "sample.txt", 16_000)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    assert {line[0] for line in lines} == {"a"}
    assert max(lines) < "a line 03000"


def test_small_files_are_read_whole(texts: list[Path], tmp_path: Path) -> None:
    path, whole = sample_text(texts, CorpusConfig(paths=("*",)), tmp_path / "sample.txt", 10_000_000)
    assert path.read_text(encoding="utf-8").split() == [w for text in texts for w in text.read_text("utf-8").split()]
    assert whole == pytest.approx(1, rel=0.01)


def test_of_other_files_the_beginning_is_read(tmp_path: Path) -> None:
    source = tmp_path / "corpus.jsonl"
    source.write_text("".join(json.dumps({"text": f"row {n} of many\nits second line"}) + "\n" for n in range(5_000)))
    path, whole = sample_text([source], CorpusConfig(paths=("*",)), tmp_path / "sample.txt", 10_000)
    assert path.read_text().startswith("row 0 of many\nits second line\n\nrow 1 of many")
    assert whole == pytest.approx(source.stat().st_size / path.stat().st_size)
