from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PretrainedConfig

from pipeline.config.models import PRESETS, Shape, StudentConfig
from pipeline.data.tokens.tokenizer import train_wordpiece
from pipeline.errors import ModelError
from pipeline.features import Tap
from pipeline.models.load import save_model
from pipeline.models.shapes import check_heads, student_shape
from pipeline.models.students import (
    build_encoder,
    larger_than_teacher,
    set_dropout,
    student_config,
)
from pipeline.models.taps import Reader, encode

Configs = Callable[[str], PretrainedConfig]
SMALL = Shape(layers=2, hidden=12, heads=3, intermediate=20)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert", "modernbert"])
def test_a_student_has_its_shape_and_its_teachers_vocabulary(
    family: str, family_config: Configs, batch: dict[str, torch.Tensor]
) -> None:
    teacher = family_config(family)
    model = build_encoder(student_config(SMALL, teacher, dropout=0.0), seed=0)
    output = encode(model, batch, output_hidden_states=True)
    assert len(output.hidden_states) == 3
    assert output.last_hidden_state.shape == (2, 9, 12)
    assert model.get_input_embeddings().num_embeddings == teacher.vocab_size
    assert any(20 in parameter.shape for parameter in model.parameters())
    assert teacher.num_hidden_layers == 4  # the teacher's configuration stays as it was


def test_the_same_seed_gives_the_same_student_and_leaves_the_generator_alone(family_config: Configs) -> None:
    config = student_config(SMALL, family_config("bert"), dropout=0.1)
    state = torch.random.get_rng_state()
    first, second, other = (build_encoder(config, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert"])
def test_dropout_is_the_students_everywhere(family: str, family_config: Configs) -> None:
    config = student_config(SMALL, family_config(family), dropout=0.0)
    config.num_labels = 2
    model = AutoModelForSequenceClassification.from_config(config)
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.0}
    set_dropout(model, 0.3)
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.3}


def test_a_student_of_a_half_precision_teacher_is_built_in_float32(family_config: Configs) -> None:
    teacher = family_config("bert")
    teacher.dtype = torch.float16
    assert build_encoder(student_config(SMALL, teacher, dropout=0.0), seed=0).dtype == torch.float32


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_a_saved_student_reloads_with_from_pretrained_alone(
    family: str, family_config: Configs, batch: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    config = student_config(SMALL, family_config(family), dropout=0.1)
    config.num_labels = 3
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    Reader(model, [Tap("query", 1)])  # a student that was distilled carries our attention function; its folder must not
    tokenizer = train_wordpiece(["some words of a text", "and some more words"], 40)
    save_model(model, tokenizer, tmp_path, max_length=9)
    assert "tinybert_tap" not in (tmp_path / "config.json").read_text()
    assert AutoTokenizer.from_pretrained(tmp_path).model_max_length == 9
    assert tokenizer.model_max_length == 512
    reloaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert not reloaded.training
    assert reloaded.state_dict().keys() == model.state_dict().keys()
    assert torch.equal(encode(reloaded, batch).logits, encode(model, batch).logits)


def test_the_shape_of_a_student(family_config: Configs) -> None:
    teacher = family_config("bert")
    assert student_shape(StudentConfig(layers=2, hidden=12), teacher) == Shape(
        layers=2, hidden=12, heads=3, intermediate=48
    )
    assert student_shape(StudentConfig(preset="tinybert-4l-312d"), teacher) == PRESETS["tinybert-4l-312d"]
    with pytest.raises(ModelError, match=r"'student' is 20 wide, .* 3 heads: choose hidden 18 or 21, or 2 or 4 heads"):
        student_shape(StudentConfig(layers=2, hidden=20), teacher)


def test_head_counts_that_differ_name_the_choices(family_config: Configs) -> None:
    teacher = family_config("bert")
    check_heads("tiny", 3, teacher)
    with pytest.raises(
        ModelError,
        match=r"teacher has 3 attention heads, student 'tiny' 4: give it 3 heads "
        r"\(hidden a multiple of 3\), or set terms\.attention to 0",
    ):
        check_heads("tiny", 4, teacher)


def test_a_student_larger_than_its_teacher_is_noticed(family_config: Configs) -> None:
    teacher = family_config("bert")
    assert larger_than_teacher(SMALL, teacher) == []
    deeper, wider = larger_than_teacher(Shape(layers=5, hidden=48, heads=3, intermediate=8), teacher)
    assert "5 layers against 4" in deeper
    assert "48 against 24" in wider
