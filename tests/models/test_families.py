"""Every family of encoders: a student of another shape works from end to end, or is refused before any training."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PretrainedConfig

from pipeline.config.distillation import TRANSFORMER_LAYERS, Terms
from pipeline.config.models import Shape, StudentConfig
from pipeline.engine.guides.frozen import frozen_teacher
from pipeline.engine.objectives import TEACHER, build_learners, guide_taps
from pipeline.engine.student_identity import mapped_layers
from pipeline.errors import ModelError
from pipeline.features import Moment
from pipeline.models.load import load_finetuned
from pipeline.models.source import ModelSource
from pipeline.models.students import random_classifier, student_config
from pipeline.models.taps import Reader, encode
from pipeline.models.trial import try_student
from pipeline.models.windows import attention_windows
from pipeline.training.counts import count

USUAL: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 16,
    "max_position_embeddings": 32,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "cls_token_id": 0,
    "sep_token_id": 2,
}
OTHER_NAMES = {"vocab_size": 40, "n_layers": 4, "n_heads": 3, "max_position_embeddings": 32, "pad_token_id": 1}
SETTINGS: dict[str, dict[str, Any]] = {
    "distilbert": OTHER_NAMES | {"dim": 24, "hidden_dim": 16},
    "flaubert": OTHER_NAMES | {"emb_dim": 24},
    "xlm": OTHER_NAMES | {"emb_dim": 24},
    "electra": USUAL | {"embedding_size": 10},
    "albert": USUAL | {"embedding_size": 10},
    "mobilebert": USUAL | {"num_attention_heads": 3, "embedding_size": 8, "intra_bottleneck_size": 15},
    "modernbert": USUAL | {"local_attention": 4},
    "longformer": USUAL | {"attention_window": [4, 8, 4, 8]},
    "squeezebert": USUAL | {"embedding_size": 24},
    "funnel": {"vocab_size": 40, "d_model": 24, "n_head": 3, "d_head": 8, "d_inner": 16, "block_sizes": [2, 2]},
}
SCORES_READABLE = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "modernbert", "ernie", "data2vec-text")
HIDDEN_STATES_ALONE = (
    *("distilbert", "deberta", "deberta-v2", "mobilebert", "albert", "mpnet", "convbert", "rembert", "roformer"),
    *("megatron-bert", "nystromformer", "nomic_bert", "gte", "longformer", "xlm", "flaubert"),
)
REFUSED = ("funnel", "reformer", "squeezebert")
SHAPES = [Shape(layers=2, hidden=12, heads=3, intermediate=20), Shape(layers=6, hidden=36, heads=3, intermediate=8)]
STRATEGIES = ("uniform", "bottom")


def teacher_config(family: str) -> PretrainedConfig:
    config = AutoConfig.for_model(family, **SETTINGS.get(family, USUAL))
    config.num_labels = 2
    return config


def teacher(family: str) -> Any:
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(teacher_config(family)).eval()


def batch() -> dict[str, torch.Tensor]:
    mask = torch.arange(9) < torch.tensor([9, 5])[:, None]
    ids = torch.randint(5, 40, (2, 9), generator=torch.Generator().manual_seed(3)).where(mask, torch.tensor(1))
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}


def student_of(config: PretrainedConfig, shape: Shape, strategy: str = "uniform") -> tuple[StudentConfig, Any]:
    student = StudentConfig(**shape.model_dump(), layer_map=strategy)
    own = student_config(shape, config, dropout=0.0, layers=mapped_layers(student, config))
    torch.manual_seed(1)
    return student, random_classifier(own, ["a", "b"])


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("shape", SHAPES, ids=["smaller", "larger"])
@pytest.mark.parametrize("family", [*SCORES_READABLE, *HIDDEN_STATES_ALONE])
def test_a_student_of_another_shape_learns_and_opens_again(
    family: str, shape: Shape, strategy: str, tmp_path: Path
) -> None:
    model = teacher(family)
    student, own = student_of(model.config, shape, strategy)
    assert own.config.model_type == family
    attention = float(family in SCORES_READABLE)
    learners = build_learners(
        [student], {"student": own}, model.config, Terms(embedding=1, hidden=1, attention=attention), seed=0
    )
    taps = guide_taps(learners)
    whole = Reader(deepcopy(model), taps)(batch())
    target = frozen_teacher(deepcopy(model), taps, torch.device("cpu"))(batch())
    for tap in taps:
        if tap.what in ("embedding", "hidden"):
            torch.testing.assert_close(target[tap], whole[tap], rtol=1e-4, atol=1e-5)

    windows = {window for window in attention_windows(own.config) if window is not None}
    terms = learners["student"](batch(), {TEACHER: target}, Moment(count(batch(), windows)))
    torch.stack(list(terms.values())).sum().backward()
    assert all(torch.isfinite(term) for term in terms.values())
    assert sum(p.grad is not None for p in own.parameters()) > shape.layers

    own.eval().save_pretrained(tmp_path)
    again = load_finetuned(ModelSource(str(tmp_path))).eval()
    assert again.config.hidden_size == shape.hidden
    assert again.config.num_hidden_layers == shape.layers
    with torch.no_grad():
        assert torch.equal(encode(again, batch()).logits, encode(own, batch()).logits)


@pytest.mark.parametrize("family", [*SCORES_READABLE, *HIDDEN_STATES_ALONE])
def test_every_dropout_of_a_student_is_its_own(family: str) -> None:
    config = student_config(SHAPES[0], teacher_config(family), dropout=0.25)
    named = {name: value for name, value in config.to_dict().items() if "dropout" in name and value is not None}
    assert named
    assert set(named.values()) == {0.25}, named
    model = AutoModelForSequenceClassification.from_config(config)
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} <= {0.25}


@pytest.mark.parametrize("family", HIDDEN_STATES_ALONE)
def test_scores_that_cannot_be_read_are_refused_before_any_training(family: str) -> None:
    model = teacher(family)
    student, own = student_of(model.config, SHAPES[0])
    with pytest.raises(ModelError, match=r"cannot be read: .* set terms\.attention to 0"):
        build_learners([student], {"student": own}, model.config, TRANSFORMER_LAYERS, seed=0)


@pytest.mark.parametrize("family", REFUSED)
def test_a_family_that_cannot_take_another_shape_is_refused_in_one_line(family: str) -> None:
    config = AutoConfig.for_model(family, **SETTINGS.get(family, {}))
    with pytest.raises(ModelError, match=rf"'{family}' .*: choose ") as refusal:
        try_student(student_config(SHAPES[1], config, dropout=0.0), "wide", ())
    assert "\n" not in str(refusal.value)


def test_layers_attend_as_those_they_imitate_and_other_starts_are_refused() -> None:
    model = teacher("modernbert")
    windows = attention_windows(model.config)
    assert windows == (None, 2, 2, None)
    student, own = student_of(model.config, SHAPES[0], "bottom")
    assert attention_windows(own.config) == (None, 2)
    own.config.layer_types = ["full_attention", "full_attention"]
    with pytest.raises(ModelError, match=r"layer 2 of student 'student' attends to the whole row, layer 2 of .* 2 tok"):
        build_learners([student], {"student": own}, model.config, TRANSFORMER_LAYERS, seed=0)
