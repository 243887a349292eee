"""A model folder from a stranger: no code that comes with it runs, and no pickle is opened."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_run import save_teacher

from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.errors import ModelError
from pipeline.models.load import (
    load_classifier,
    load_config,
    load_encoder,
    load_finetuned,
    load_masked_lm,
)
from pipeline.models.source import ModelSource

LOADERS: dict[str, Callable[[ModelSource], Any]] = {
    "config": load_config,
    "encoder": load_encoder,
    "masked_lm": load_masked_lm,
    "classifier": lambda source: load_classifier(source, ["a", "b"]),
    "finetuned": load_finetuned,
    "tokenizer": lambda source: load_tokenizer(source.location),
}
WEIGHTS = [name for name in LOADERS if name not in {"config", "tokenizer"}]


class Trap:
    """An object whose unpickling writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What a stranger's code would leave."""
    return tmp_path / "was-run"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "teacher"
    save_teacher(folder)
    return folder


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def spring(trap: Path, mark: Path) -> None:
    """The trap works, or nothing here shows anything."""
    with trap.open("rb") as file:
        pickle.load(file)  # noqa: S301 - our own
    assert mark.exists()
    mark.unlink()


@pytest.mark.parametrize("name", WEIGHTS)
def test_pickled_weights_are_refused_and_not_opened(name: str, folder: Path, mark: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(mark)))
    spring(folder / "pytorch_model.bin", mark)
    with pytest.raises(ModelError, match=r"weights in pytorch_model\.bin, a pickle, .* is not read: .*save_pretrained"):
        LOADERS[name](ModelSource(str(folder)))
    assert not mark.exists()


def test_innocent_pickled_weights_are_refused_too(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="a pickle"):
        load_encoder(ModelSource(str(folder)))


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_pickle_that_an_index_names_is_not_opened(name: str, folder: Path, mark: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    first, *rest = weights
    save_file({key: weights[key] for key in rest}, folder / "part.safetensors", {"format": "pt"})
    (folder / "aaa.bin").write_bytes(pickle.dumps(Trap(mark)))
    index = {"metadata": {}, "weight_map": {first: "aaa.bin", **dict.fromkeys(rest, "part.safetensors")}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"weights in aaa\.bin, a pickle"):
        LOADERS[name](ModelSource(str(folder)))
    assert not mark.exists()


@pytest.mark.parametrize("named", ["adapter_model.bin", "other.bin"])
def test_a_pickle_that_the_configuration_names_is_not_opened(named: str, folder: Path, mark: Path) -> None:
    (folder / named).write_bytes(pickle.dumps(Trap(mark)))
    edit(folder / "config.json", transformers_weights=named)
    with pytest.raises(ModelError, match=rf"weights in {named}, a pickle"):
        load_encoder(ModelSource(str(folder)))
    assert not mark.exists()


def test_a_pickle_beside_the_weights_is_not_opened(folder: Path, mark: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(mark)))
    load_masked_lm(ModelSource(str(folder)))
    assert not mark.exists()


def test_weights_in_several_safetensors_are_read(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    halves = {"one.safetensors": list(weights)[:9], "two.safetensors": list(weights)[9:]}
    for name, keys in halves.items():
        save_file({key: weights[key] for key in keys}, folder / name, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {key: name for name, keys in halves.items() for key in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert set(load_masked_lm(ModelSource(str(folder))).state_dict()) >= set(weights)


@pytest.mark.parametrize("model_type", ["bert", "strange"])
@pytest.mark.parametrize("name", LOADERS)
def test_code_that_comes_with_a_model_never_runs(name: str, model_type: str, folder: Path, mark: Path) -> None:
    (folder / "strange.py").write_text(f"import os\nos.system('touch {mark}')\nStrange = None\n")
    classes = ("Config", "Model", "ModelForMaskedLM", "ModelForSequenceClassification", "Tokenizer")
    auto_map: dict[str, Any] = {f"Auto{name}": "strange.Strange" for name in classes}
    edit(folder / "config.json", auto_map=auto_map, model_type=model_type)
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["strange.Strange", "strange.Strange"]})
    try:
        LOADERS[name](ModelSource(str(folder)))
    except ModelError as refused:
        assert "\n" not in str(refused)  # noqa: PT017 - refused or loaded as a plain BERT: it is not run
    assert not mark.exists()


def test_a_strange_model_is_refused_in_one_line(folder: Path) -> None:
    edit(folder / "config.json", auto_map={"AutoConfig": "strange.Strange"}, model_type="strange")
    with pytest.raises(ModelError, match=r"cannot load .*, a folder: ") as refused:
        load_encoder(ModelSource(str(folder)))
    assert "\n" not in str(refused.value)


def test_nobody_can_ask_for_such_code_by_configuration() -> None:
    from pipeline.config.run import RunConfig

    assert "trust" not in json.dumps(RunConfig.model_json_schema()).lower()
