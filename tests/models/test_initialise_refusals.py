"""What cannot be cut is refused in one line that names the value and the way out."""

from types import SimpleNamespace

import pytest
import torch
from test_families import SETTINGS, USUAL
from test_initialise_cut import config_of, cut_to, teacher_of, text
from transformers import AutoConfig, AutoModel

from pipeline.config.models import Shape
from pipeline.errors import ModelError
from pipeline.models.initialise.checks import check_cut
from pipeline.models.initialise.cut import cut
from pipeline.models.initialise.post_norm import layers_of


def test_a_larger_student_is_refused() -> None:
    teacher = teacher_of("bert")
    for shape, said in (
        (Shape(layers=5, hidden=12, heads=3, intermediate=8), "has 5 layers, its teacher 4, .* at most 4 layers"),
        (Shape(layers=2, hidden=27, heads=3, intermediate=8), "is 27 wide, its teacher 24, .* a smaller hidden"),
        (Shape(layers=2, hidden=12, heads=3, intermediate=17), "is 17 wide in its feed-forward layers, .* 16"),
    ):
        layers = tuple(range(1, shape.layers + 1))
        with pytest.raises(ModelError, match=rf"student 'small' {said}.*start: random"):
            cut_to(teacher, shape, layers, name="small")


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ((2, 5), "teacher layer 5, which the teacher does not have: choose from 1 to 4"),
        ((0, 1), "teacher layer 0"),
        ((2, 2), r"\(2, 2\), which do not increase"),
        ((3, 1), r"\(3, 1\), which do not increase"),
        ((1, 2, 3), "has 2 layers but is cut out of 3 teacher layers"),
    ],
)
def test_layers_that_do_not_fit_are_refused(layers: tuple[int, ...], said: str) -> None:
    teacher = teacher_of("bert")
    config = config_of(teacher, Shape(layers=2, hidden=12, heads=3, intermediate=8))
    with pytest.raises(ModelError, match=said) as caught:
        cut(teacher, config, text(), layers, head=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["distilbert", "deberta-v2", "modernbert", "albert", "mpnet", "megatron-bert"])
def test_other_families_are_refused_with_the_other_starts(family: str) -> None:
    model = AutoModel.from_config(AutoConfig.for_model(family, **SETTINGS.get(family, USUAL)))
    with pytest.raises(ModelError, match=rf"'{family}' teacher, only out of BERT.*start: general or start: random"):
        layers_of(model)
    with pytest.raises(ModelError, match="start: general"):
        check_cut("small", model.config, model.config, (1,))


def test_a_plan_can_refuse_with_the_numbers_of_two_configurations_alone() -> None:
    numbers = {
        "model_type": "bert",
        "num_hidden_layers": 2,
        "hidden_size": 12,
        "num_attention_heads": 3,
        "intermediate_size": 8,
        "vocab_size": 40,
        "max_position_embeddings": 32,
    }
    same = SimpleNamespace(**numbers)
    check_cut("small", same, same, (1, 2))
    with pytest.raises(ModelError, match="vocab_size 41, its teacher 40"):
        check_cut("small", SimpleNamespace(**numbers | {"vocab_size": 41}), same, (1, 2))
    with pytest.raises(ModelError, match="64 positions long, its teacher 32"):
        check_cut("small", SimpleNamespace(**numbers | {"max_position_embeddings": 64}), same, (1, 2))
    with pytest.raises(ModelError, match="12 wide, not a multiple of its 5 heads"):
        check_cut("small", SimpleNamespace(**numbers | {"num_attention_heads": 5}), same, (1, 2))


def test_a_teacher_with_weights_that_are_no_numbers_is_refused() -> None:
    teacher = teacher_of("bert")
    with torch.no_grad():
        layers_of(teacher)[1].up.weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"weight bert\.encoder\.layer\.1\.intermediate\.dense\.weight .* not finite"):
        cut_to(teacher, Shape(layers=2, hidden=12, heads=3, intermediate=8), (2, 4))


def test_a_teacher_whose_states_overflow_is_refused() -> None:
    teacher = teacher_of("bert")
    with torch.no_grad():
        layers_of(teacher)[3].up.weight.fill_(3e38)
    with pytest.raises(ModelError, match=r"states \(layer 4\) are not finite"):
        cut_to(teacher, Shape(layers=2, hidden=12, heads=3, intermediate=8), (2, 4))


def test_too_little_text_is_refused() -> None:
    teacher, shape = teacher_of("bert"), Shape(layers=2, hidden=21, heads=3, intermediate=8)
    with pytest.raises(ModelError, match=r"'student' is 21 wide but .* out of \d+ tokens of text: give at least 21"):
        cut_to(teacher, shape, (2, 4), batches=text(2, 8))
    one_word = [{name: tensor.clone() for name, tensor in batch.items()} for batch in text()]
    for batch in one_word:
        batch["input_ids"].fill_(7)
        batch["attention_mask"].fill_(True)
        batch["token_type_ids"].fill_(0)
    with pytest.raises(ModelError, match=r"21 wide cannot be cut .* vary in \d+ directions there: give more text"):
        cut_to(teacher, shape, (2, 4), batches=[{k: v[:, :2] for k, v in b.items()} for b in one_word])
    with pytest.raises(ModelError, match="without text: give a corpus or rows of the task"):
        cut_to(teacher, shape, (2, 4), batches=[])


def test_a_teacher_without_a_head_is_refused_where_one_is_wanted() -> None:
    teacher = teacher_of("bert", head=False)
    with pytest.raises(ModelError, match=r"BertModel has no classification head .*set teacher\.finetune"):
        cut_to(teacher, Shape(layers=2, hidden=12, heads=3, intermediate=8), (2, 4))


def test_a_student_with_other_outputs_than_its_teachers_is_refused() -> None:
    teacher = teacher_of("bert")
    config = config_of(teacher, Shape(layers=2, hidden=12, heads=3, intermediate=8))
    config.num_labels = 5
    with pytest.raises(ModelError, match="has 5 outputs, its teacher 3"):
        cut(teacher, config, text(), (2, 4), head=True)
