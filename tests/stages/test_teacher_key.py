"""Features of a teacher are stored under a key that changes with each thing they depend on, whichever it is."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reading import taps_of
from safetensors.torch import load_file, save_file
from tiny_run import Notes, Tiny, tiny
from transformers import PreTrainedModel

from pipeline.data.tokens.batches import BatchPlan
from pipeline.engine.guides.frozen import FrozenTeacher, frozen_teacher
from pipeline.engine.teacher_cache import build
from pipeline.engine.teacher_cache.build import feature_key
from pipeline.engine.teacher_cache.cached_teacher import DESCRIPTION, CachedTeacher
from pipeline.engine.teacher_cache.layout import Layout
from pipeline.models.precision import prepare_teacher
from pipeline.models.speed.packed import PackedLinear, pack
from pipeline.models.weight_digest import digest_encoder

Make = Callable[..., PreTrainedModel]
CPU = torch.device("cpu")
LENGTHS = np.array([5, 3, 7, 2, 6, 4], np.int32)
PLAN = BatchPlan(LENGTHS, 2, seed=3)
SHAPE = {"num_hidden_layers": 3, "hidden_size": 16, "hidden_act": "gelu"}


def read(make: Make, change: Callable[[PreTrainedModel], Any] | None = None, **options: Any) -> FrozenTeacher:
    """A teacher that is always the same one, but for ``change``."""
    model = make("encoder", 3, **SHAPE)
    if change is not None:
        with torch.no_grad():
            change(model)
    taps = taps_of(options.pop("layers", [1, 3]), attention=options.pop("attention", True))
    return frozen_teacher(model, taps, CPU, **options)


def key(make: Make, change: Callable[[PreTrainedModel], Any] | None = None, **options: Any) -> str:
    return feature_key(read(make, change, **options), PLAN, "rows", None)


def nudge(name: str) -> Callable[[PreTrainedModel], None]:
    def change(model: PreTrainedModel) -> None:
        tensor = model.state_dict()[name]
        tensor.view(-1)[-1] += 1

    return change


def tensors(make: Make) -> list[str]:
    """Of the encoder; nothing reads its pooler, which may be drawn at random."""
    return [name for name in make("encoder", 3, **SHAPE).state_dict() if not name.startswith("pooler.")]


def test_equal_teachers_have_one_key(make_bert: Make) -> None:
    assert key(make_bert) == key(make_bert)
    assert key(make_bert, nudge("pooler.dense.weight")) == key(make_bert)


def test_a_change_of_any_single_tensor_is_another_key(make_bert: Make) -> None:
    names = tensors(make_bert)
    assert sum("dense.weight" in name or "query.weight" in name for name in names) == 3 * 4
    keys = {key(make_bert, nudge(name)) for name in names} | {key(make_bert)}
    assert len(keys) == len(names) + 1


def test_what_is_done_to_a_teacher_after_it_was_loaded_does_not_hide_it(make_bert: Make) -> None:
    """In bfloat16 the last bits of a weight are lost, and the features with them; the key keeps them apart."""

    def slightly(model: PreTrainedModel) -> None:
        model.encoder.layer[0].output.dense.weight[0, 0] *= 1 + 1e-6

    found = {key(make_bert, change, precision="bfloat16") for change in (None, slightly)}
    assert len(found) == 2


def other_shape(name: str, value: Any) -> Callable[[PreTrainedModel], None]:
    return lambda model: setattr(model.config, name, value)


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("layers", lambda make: key(make, layers=[2, 3])),
        ("the last layer", lambda make: key(make, layers=[1, 2])),
        ("attention", lambda make: key(make, attention=False)),
        ("precision", lambda make: key(make, precision="bfloat16")),
        ("a number of the configuration", lambda make: key(make, other_shape("layer_norm_eps", 1e-3))),
        ("its activation", lambda make: key(make, other_shape("hidden_act", "gelu_new"))),
        ("rows", lambda make: feature_key(read(make), PLAN, "other rows", None)),
        ("chosen rows", lambda make: feature_key(read(make), PLAN, "rows", np.array([0, 1, 2, 3, 4, 6]))),
        ("lengths", lambda make: feature_key(read(make), BatchPlan(LENGTHS[::-1].copy(), 2, seed=3), "rows", None)),
        ("batch size", lambda make: feature_key(read(make), BatchPlan(LENGTHS, 3, seed=3), "rows", None)),
        ("padding", lambda make: feature_key(read(make), BatchPlan(LENGTHS, 2, seed=3, pad_to=9), "rows", None)),
    ],
)
def test_each_other_ingredient_changes_the_key(what: str, other: Callable[[Make], str], make_bert: Make) -> None:
    assert other(make_bert) != key(make_bert), what


def test_compilation_and_the_libraries_change_the_key(make_bert: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = read(make_bert)
    usual = feature_key(teacher, PLAN, "rows", None)
    compiled = replace(teacher, identity={**teacher.identity, "compiled": True})
    assert feature_key(compiled, PLAN, "rows", None) != usual
    for place, value in (
        ("torch.__version__", "0"),
        ("transformers.__version__", "0"),
        ("pipeline.device.host._text", lambda _path: "model name : another processor\n"),
        ("torch.get_num_threads", lambda: 999),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, value)
            assert feature_key(teacher, PLAN, "rows", None) != usual, place


def test_keys_of_an_earlier_version_are_not_found(make_bert: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = read(make_bert)
    now = feature_key(teacher, PLAN, "rows", None)
    monkeypatch.setattr(build, "KEY_VERSION", 1)
    assert feature_key(teacher, PLAN, "rows", None) != now


def test_a_packed_model_has_no_digest_and_no_state(make_bert: Make) -> None:
    model = make_bert("encoder", 3, **SHAPE)
    prepare_teacher(model, "float32")
    if not pack(model):
        pytest.skip("layers are packed on x86 with oneDNN")
    assert any(isinstance(module, PackedLinear) for module in model.modules())
    for ask in (model.state_dict, lambda: digest_encoder(model)):
        with pytest.raises(TypeError, match="is packed and has no state"):
            ask()


def test_features_of_a_teacher_with_other_linear_weights_are_not_read(make_bert: Make, tmp_path: Path) -> None:
    """Its embeddings and norms are equal: only what a packed layer holds tells the two apart."""
    notes, cache_dir = Notes(), tmp_path / "cache"
    ids = torch.randint(1, 40, (len(LENGTHS), int(LENGTHS.max())), generator=torch.Generator().manual_seed(0))

    def batch(rows: np.ndarray) -> dict[str, torch.Tensor]:
        mask = torch.from_numpy(np.arange(int(LENGTHS[rows].max())) < LENGTHS[rows][:, None])
        return {"input_ids": ids[rows, : mask.shape[1]] * mask, "attention_mask": mask}

    def stored(teacher: FrozenTeacher) -> CachedTeacher:
        own = feature_key(teacher, PLAN, "rows", None)
        (cache_dir / own).mkdir(parents=True, exist_ok=True)
        told = {"columns": Layout.of(teacher(batch(PLAN.batches[0]))).to_json()}
        (cache_dir / own / DESCRIPTION).write_text(json.dumps(told))
        return CachedTeacher(teacher, PLAN, cache_dir=cache_dir, key=own, passes=3, budget=1e9, progress=notes)

    def counts(teacher: FrozenTeacher) -> dict[str, int]:
        store = stored(teacher)
        for rows in PLAN.epoch(0):
            store(batch(rows), rows)
        return dict(store.record()["batches"])

    wrote = {"computed": len(PLAN), "read": 0, "written": len(PLAN)}
    assert counts(read(make_bert)) == wrote
    assert counts(read(make_bert))["read"] == len(PLAN)
    assert counts(read(make_bert, nudge("encoder.layer.0.attention.self.value.weight"))) == wrote
    assert counts(read(make_bert))["read"] == len(PLAN)


def edit_corpus(run: Tiny) -> None:
    text = (run.folder / "corpus.txt").read_text(encoding="utf-8")
    (run.folder / "corpus.txt").write_text(text.replace("the", "quiet", 1), encoding="utf-8")


def edit_tokenizer(run: Tiny) -> None:
    """Two words of one length swap their ids."""
    path = run.folder / "teacher" / "tokenizer.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = told["model"]["vocab"]
    vocabulary["the"], vocabulary["old"] = vocabulary["old"], vocabulary["the"]
    path.write_text(json.dumps(told), encoding="utf-8")


def edit_linear(run: Tiny) -> None:
    path = run.folder / "teacher" / "model.safetensors"
    weights = load_file(path)
    weights["bert.encoder.layer.1.intermediate.dense.weight"][0, 0] += 1
    save_file(weights, path, metadata={"format": "pt"})


EDITS = {"a paragraph": edit_corpus, "the tokenizer": edit_tokenizer, "a linear layer": edit_linear}


@pytest.mark.parametrize("what", EDITS)
def test_what_is_edited_between_two_runs_is_not_read_from_the_store(what: str, tmp_path: Path) -> None:
    run = tiny(tmp_path)
    changed = ("general_distillation.training.epochs=2",)

    def keys() -> str:
        run.run(*changed, until="general_distillation")
        return str(run.artifact("general_distillation").metrics["teacher_store"]["key"])

    first = keys()
    EDITS[what](run)
    assert len({first, keys()}) == 2


def test_a_row_edited_between_two_runs_is_another_key_and_another_learning_rate_is_not(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    usual = (
        "phases.intermediate.training.epochs=2",
        "augmentation=null",
        "students=[{layers: 1, hidden: 16, start: random}]",
    )

    def keys(*options: str) -> str:
        run.run(*usual, *options, until="intermediate")
        return str(run.artifact("intermediate").metrics["teacher_store"]["key"])

    first = keys()
    assert keys("phases.intermediate.training.learning_rate=0.002") == first
    assert keys("precision=bfloat16") != first
    rows = list(read_rows(run.folder / "extra.txt"))
    (run.folder / "extra.txt").write_text("\n".join(["bright heron sees", *rows[1:]]) + "\n", encoding="utf-8")
    assert keys() != first


def read_rows(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
