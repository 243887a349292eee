"""A saved tokenizer truncates where its model learned to read, so that a text of any length can be classified."""

from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer, pipeline

from tests.tiny_run import TREE, Tiny, finished_with, tiny

WORDS = " ".join(["the quick otter crosses the bridge"] * 100)  # 600 words


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("run"), finished=True)


@pytest.mark.parametrize(
    ("stage", "folder"),
    [
        ("teacher", "model"),
        ("intermediate", "students/distilled"),
        ("prediction", "students/distilled"),
        ("prediction", "students/random-start"),
        ("label_only", "students/distilled"),
    ],
)
def test_a_classifier_reads_as_many_word_pieces_as_it_learned_at(stage: str, folder: str, run: Tiny) -> None:
    path = run.path(stage) / folder
    assert AutoTokenizer.from_pretrained(path).model_max_length == TREE["task"]["max_length"] == 20
    classify = pipeline("text-classification", model=str(path), truncation=True)
    long, short = classify([WORDS, " ".join(WORDS.split()[:30])])
    assert long["label"] in ("animal", "city", "food")
    assert long["score"] == pytest.approx(short["score"])


def test_a_model_without_a_task_reads_as_far_as_its_positions(tmp_path: Path) -> None:
    run = finished_with(tmp_path, "pretrain")
    for folder in (run.path("pretrain") / "model", run.path("general_distillation") / "students" / "distilled"):
        positions = AutoConfig.from_pretrained(folder).max_position_embeddings
        assert AutoTokenizer.from_pretrained(folder).model_max_length == positions == 40
    fill = pipeline("fill-mask", model=str(run.path("pretrain") / "model"), tokenizer_kwargs={"truncation": True})
    assert fill("the [MASK] " + WORDS)
