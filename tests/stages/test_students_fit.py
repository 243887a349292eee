"""A student that its teacher's family cannot have is refused in the plan, before anything is computed."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    SqueezeBertConfig,
    SqueezeBertForMaskedLM,
)

from flows.plan import plan_run
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.errors import ModelError
from tests.tiny_run import Tiny, tiny

TEACHERS: dict[str, Any] = {
    "modernbert": lambda size: ModernBertForMaskedLM(
        ModernBertConfig(
            vocab_size=size,
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=48,
            local_attention=4,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
            cls_token_id=2,
            sep_token_id=3,
        )
    ),
    "deberta": lambda size: DebertaV2ForMaskedLM(
        DebertaV2Config(
            vocab_size=size,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=48,
        )
    ),
    "distilbert": lambda size: DistilBertForMaskedLM(
        DistilBertConfig(vocab_size=size, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=48)
    ),
    "squeezebert": lambda size: SqueezeBertForMaskedLM(
        SqueezeBertConfig(
            vocab_size=size,
            hidden_size=32,
            embedding_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=48,
        )
    ),
}


def with_teacher(folder: Path, family: str) -> Tiny:
    run = tiny(folder)
    tokenizer = load_tokenizer(str(run.folder / "teacher"))
    shutil.rmtree(run.folder / "teacher")
    torch.manual_seed(1)
    TEACHERS[family](len(tokenizer)).save_pretrained(run.folder / "teacher")
    tokenizer.save_pretrained(run.folder / "teacher")
    return run


def refused(run: Tiny, *overrides: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(run.folder)
        config = run.config(*overrides)
        with pytest.raises(ModelError) as refusal:
            plan_run(config)
    assert not (run.folder / "artifacts").exists()
    return str(refusal.value)


WITHOUT_SCORES = ("general_distillation.terms.attention=0", "phases.intermediate.terms.attention=0")


def test_scores_that_cannot_be_read_are_refused_in_the_plan(tmp_path: Path) -> None:
    assert "set terms.attention to 0" in refused(with_teacher(tmp_path, "distilbert"))
    assert "set terms.attention to 0" in refused(with_teacher(tmp_path, "distilbert"), WITHOUT_SCORES[0])


def test_a_shape_that_the_family_cannot_have_is_refused_in_the_plan(tmp_path: Path) -> None:
    run = with_teacher(tmp_path, "squeezebert")
    wide = "students=[{name: wide, layers: 1, hidden: 40}]"
    message = refused(run, wide, *WITHOUT_SCORES)
    assert "student 'wide': a 'squeezebert' model of 1 layers, 40 wide, 4 heads cannot be built" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ("{name: s, layers: 1, hidden: 16, heads: 2}", "teacher has 4 attention heads, student 's' 2"),
        ("{name: s, layers: 1, hidden: 16, layer_map: [3]}", r"layer map \(3,\) names a layer outside 1\.\.2"),
        ("{name: s, layers: 1, hidden: 16, layer_map: [1, 2]}", "2 entries for 1 student layers"),
    ],
)
def test_the_numbers_of_a_usual_family_are_compared_in_the_plan(student: str, message: str, tmp_path: Path) -> None:
    assert re.search(message, refused(tiny(tmp_path), f"students=[{student}]"))


@pytest.mark.parametrize("family", ["deberta", "modernbert"])
def test_a_smaller_student_of_an_unusual_family_goes_through_every_phase(family: str, tmp_path: Path) -> None:
    run = with_teacher(tmp_path, family)
    scores = WITHOUT_SCORES if family == "deberta" else ("phases.intermediate.training.gradient_accumulation=2",)
    run.run(*scores, "augmentation=null", "students=[{name: s, layers: 2, hidden: 16}]", until="prediction")
    student = AutoModelForSequenceClassification.from_pretrained(run.path("prediction") / "students" / "s")
    assert (student.config.num_hidden_layers, student.config.hidden_size) == (2, 16)
    if family == "modernbert":
        assert student.config.layer_types == ["sliding_attention", "sliding_attention"]  # as layers 2 and 3 of three
