"""The augmenters a user lists, in a run: what they make, that it stays the same, and what runs again."""

from pathlib import Path

import pytest
from pyarrow import parquet
from tiny_run import Tiny, sentences, tiny, write_csv

from pipeline.config.augmenters import HOLE
from pipeline.data.tokens.table import TokenTable
from pipeline.errors import ConfigError

MIXED = (
    "augmentation.augmenters=[{tinybert: {}, rows: 0.8}, {random_word: {action: swap}, rows: 0.5},"
    " {tfidf: {}, rows: 0.5}, {mask: {probability: 0.2}, rows: 0.5}, {ngram: {longest: 3}, rows: 0.3}]"
)


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    return tiny(tmp_path, finished=True)


def made(run: Tiny) -> list[dict[str, object]]:
    return parquet.read_table(run.path("augmentation") / "variants.parquet").to_pylist()


def test_a_list_of_augmenters_changes_the_variants_and_not_the_candidates(run: Tiny) -> None:
    before = made(run)
    steps = run.plan(MIXED)
    assert (steps["candidates"].action, steps["augmentation"].action) == ("reuse", "run")
    run.run(MIXED, until="augmentation")
    after = made(run)
    assert after != before
    texts = " ".join(str(row["text"]) for row in after)
    assert "[MASK]" in texts
    assert any(len(str(row["text"]).split()) <= 3 for row in after)
    metrics = run.artifact("augmentation").manifest.metrics
    assert metrics["failed_draws"] == metrics["protected_draws"] == 0
    run.run(MIXED, "seed=5", until="augmentation")
    assert run.plan(MIXED)["augmentation"].action == "reuse"


def test_the_same_variants_whatever_the_shards(run: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run.run(MIXED, until="augmentation")
    other = tiny(tmp_path / "other", finished=True)
    monkeypatch.setattr("pipeline.data.tasks.table.READ_ROWS", 5)
    other.run(MIXED, until="augmentation")
    assert made(other) == made(run)


def test_the_teacher_reads_a_hole_as_its_mask_and_a_users_marker_as_text(run: Tiny) -> None:
    rows = [(f"{text} [MASK] [SEP]", topic) for text, topic in sentences(48, 1)]
    write_csv(run.folder / "train.csv", ("sentence", "topic"), rows)
    run.run(MIXED, "task.max_length=48", until="teacher_logits")
    folder = run.path("teacher_logits")
    table = TokenTable.open(folder / "tokens")
    mask, ends = 4, 3  # of every vocabulary that was trained here
    ids = [table.rows([row])["input_ids"][0].tolist() for row in range(len(table))]
    originals = 48 + 9
    assert {row.count(mask) for row in ids[:originals]} == {0}
    assert {row.count(ends) for row in ids} == {1}
    holes = [str(row["text"]).count(HOLE) for row in made(run)]
    assert max(holes) > 0
    assert [row.count(mask) for row in ids[originals:]] == holes
    assert HOLE not in (folder / "quality.json").read_text()


def test_without_tinybert_no_word_needs_a_candidate(run: Tiny) -> None:
    run.run("augmentation.augmenters=[{keyboard: {aug_word_max: 1}}]", until="augmentation")
    assert len(made(run)) > 48


def test_protected_words_stay_in_a_run(run: Tiny) -> None:
    run.run(
        MIXED.replace(", {ngram: {longest: 3}, rows: 0.3}", ""),
        "augmentation.words.protect=[otter]",
        until="augmentation",
    )
    task = parquet.read_table(run.path("task_data") / "train.parquet").to_pylist()
    otters = {row["row_id"] for row in task if "otter" in str(row["text"]).split()}
    rows = [row for row in made(run) if row["origin_id"] in otters]
    assert len(rows) > 10
    assert all("otter" in str(row["text"]).split() for row in rows)


ODD = [
    "otter",
    "\U0001f600 \U0001f44d",
    "\u0633\u0644\u0627\u0645 \u05e9\u05dc\u05d5\u05dd",
    "a\x07b\u200bc",
    "?!",
    "otter bridge " * 2500,
    "\u7535\u5f71 the",
]


def test_odd_rows_pass_or_are_augmented_and_the_run_goes_on(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    write_csv(run.folder / "train.csv", ("sentence", "topic"), [*sentences(12, 1), *((text, "animal") for text in ODD)])
    run.run(MIXED, until="augmentation")
    metrics = run.artifact("augmentation").manifest.metrics
    assert metrics["rows"] == 12 + len(ODD)
    assert metrics["failed_draws"] == 0
    assert metrics["words_beyond_positions"] > 4000
    assert 0 < metrics["unchanged_rows"] < len(ODD)


def test_an_argument_that_nlpaug_refuses_is_one_line(run: Tiny) -> None:
    with pytest.raises(ConfigError, match=r"augmenter split with .* does not work") as error:
        run.run("augmentation.augmenters=[{split: {stopwords_regex: '('}}]", until="augmentation")
    assert "\n" not in str(error.value)


def test_what_is_not_installed_is_said_before_anything_runs(run: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.config.extras.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="jieba, which is not installed"):
        run.plan("augmentation.words.segmentation=jieba")
