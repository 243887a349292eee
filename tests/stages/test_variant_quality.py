"""What is said of the variants, in the artifact, the manifest and the report."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from tiny_run import TOPICS, Tiny, sentences, tiny, write_csv
from transformers import AutoTokenizer

from pipeline.engine.variant_quality import EXAMPLES


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("run"), finished=True)


def quality(run: Tiny) -> Any:
    return json.loads((run.path("teacher_logits") / "quality.json").read_text(encoding="utf-8"))


def tables(run: Tiny) -> tuple[dict[int, dict[str, Any]], list[dict[str, Any]]]:
    rows = parquet.read_table(run.path("task_data") / "train.parquet").to_pylist()
    variants = parquet.read_table(run.path("augmentation") / "variants.parquet").to_pylist()
    return {row["row_id"]: row for row in rows}, variants


def test_the_figures_are_those_of_the_files(run: Tiny) -> None:
    found = quality(run)
    origins, variants = tables(run)
    assert found["rows"] == len(origins) == 48
    assert found["variants"] == len(variants)
    assert found["distinct_a_row"] == pytest.approx(len(variants) / 48)  # none is there twice
    assert found["rows_without"] == 48 - len({variant["origin_id"] for variant in variants})
    assert found["replacement_rate"] == run.artifact("augmentation").metrics["replacement_rate"]
    tokenizer = AutoTokenizer.from_pretrained(run.path("teacher") / "model")
    ratios = [
        len(tokenizer(variant["text"])["input_ids"])
        / len(tokenizer(origins[variant["origin_id"]]["text"])["input_ids"])
        for variant in variants
    ]
    assert found["length_ratio"]["mean"] == pytest.approx(np.mean(ratios))
    assert 0 < found["teacher"]["flip_rate"] < 1
    assert 0 < found["teacher"]["probability_shift"] < 1
    assert found["pseudo_perplexity"]["pairs"] == min(len(variants), 200)
    assert 1 < found["pseudo_perplexity"]["origin"] < 110 * 2
    assert found["pseudo_perplexity"]["variant"] > 1


def test_the_examples_are_variants_beside_their_origins(run: Tiny) -> None:
    origins, variants = tables(run)
    texts = {(variant["origin_id"], variant["text"]): variant for variant in variants}
    found = quality(run)["examples"]
    assert len(found) == len({(one["row_id"], one["variant"]) for one in found}) == EXAMPLES
    for one in found:
        assert one["original"] == origins[one["row_id"]]["text"]
        assert one["num_changed"] == texts[one["row_id"], one["variant"]]["num_changed"]
        classes = [one[name].rsplit(" ", 1)[0] for name in ("original_label", "variant_label")]
        assert set(classes) <= set(TOPICS)
        assert one["flipped"] == (classes[0] != classes[1])


def test_the_manifest_has_the_numbers_and_the_report_all(run: Tiny) -> None:
    found = quality(run)
    examples = found.pop("examples")
    assert run.artifact("teacher_logits").metrics["quality"] == found
    page = (run.path("report") / "report.html").read_text(encoding="utf-8")
    for said in ("Augmentation", "teacher flip rate", f"{found['teacher']['flip_rate']:.1%}", "pseudo-perplexity"):
        assert said in page
    plain = re.sub(r"</?(?:mark|b|small)>", "", page)
    assert all(one["variant"] in plain and one["original_label"] in plain for one in examples)


def test_neighbours_alone_have_no_pseudo_perplexity(run: Tiny, tmp_path: Path) -> None:
    near = tiny(tmp_path)
    words = sorted({word for words in TOPICS.values() for word in words})
    vectors = np.random.default_rng(0).normal(size=(len(words), 4)).round(3)
    lines = [" ".join([word, *map(str, vector)]) for word, vector in zip(words, vectors, strict=True)]
    (near.folder / "glove.txt").write_text("\n".join(lines) + "\n")
    near.run("augmentation.mlm=null", "augmentation.vectors.path=glove.txt", until="teacher_logits")
    found = quality(near)
    assert found["pseudo_perplexity"] is None
    assert found["variants"] > 0
    assert "mlm" not in near.artifact("teacher_logits").manifest.inputs
    assert "mlm" in run.artifact("teacher_logits").manifest.inputs


def test_no_variants_at_all_are_no_mishap(tmp_path: Path) -> None:
    bare = tiny(tmp_path)
    bare.run("augmentation.probability=0", until="teacher_logits")
    found = quality(bare)
    assert (found["variants"], found["rows_without"], found["examples"]) == (0, 48, [])
    assert found["length_ratio"] == {}
    assert found["pseudo_perplexity"] is None


def test_without_augmentation_nothing_is_said(tmp_path: Path) -> None:
    bare = tiny(tmp_path)
    bare.run("augmentation=null", until="teacher_logits")
    assert not (bare.path("teacher_logits") / "quality.json").exists()
    assert "quality" not in bare.artifact("teacher_logits").metrics


def test_pairs_of_a_regression(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    for name, count in (("train.csv", 24), ("dev.csv", 9)):
        rows = scored_pairs(count)
        write_csv(run.folder / name, ("sentence", "other", "topic"), rows)
    changes = ("task.kind=regression", "task.text_pair=other", "task.unlabelled=[]", "task.max_length=40")
    run.run(*changes, until="teacher_logits")
    found = quality(run)
    labels = parquet.read_table(run.path("task_data") / "train.parquet")["label"].to_numpy()
    assert found["teacher"]["flip_tolerance"] == pytest.approx(0.1 * (labels.max() - labels.min()))
    assert found["teacher"]["score_shift"] > 0
    origins, _ = tables(run)
    assert {one["column"] for one in found["examples"]} == {"text", "text_pair"}
    for one in found["examples"]:
        assert one["original"] == origins[one["row_id"]][one["column"]]
        assert float(one["original_label"]) != float(one["variant_label"]) or not one["flipped"]


def scored_pairs(count: int) -> list[tuple[str, str, float]]:
    return [
        (a, b, len(a) / 10)
        for (a, _), (b, _) in zip(sentences(count, count), sentences(count, count + 50), strict=True)
    ]
