from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.training.checkpoint import (
    latest_checkpoint,
    load_module,
    load_optimizer,
    module_tensors,
    optimizer_tensors,
    save_checkpoint,
)


def save(folder: Path, step: int) -> Path:
    return save_checkpoint(folder, step, {"weight": torch.full((50,), float(step))}, {"note": "x"})


def newest(folder: Path) -> int | None:
    found = latest_checkpoint(folder)
    if found is None:
        return None
    tensors, state = found
    assert torch.equal(tensors["weight"], torch.full((50,), float(state["step"])))
    return state["step"]


def test_two_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    assert newest(tmp_path / "run") is None
    for step in (3, 9, 10, 100):
        save(tmp_path / "run", step)
        assert newest(tmp_path / "run") == step
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["step-00000010", "step-00000100"]


def test_a_half_written_one_is_ignored_and_cleared_away(tmp_path: Path) -> None:
    save(tmp_path, 1)
    partial = tmp_path / ".partial-00000002"
    partial.mkdir()
    (partial / "tensors.safetensors").write_bytes(b"half")
    assert newest(tmp_path) == 1
    save(tmp_path, 3)
    assert not partial.exists()


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json"])
@settings(max_examples=12, deadline=None)
@given(share=st.floats(0, 0.99))
def test_a_truncated_one_falls_back_to_the_one_before(
    name: str, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    save(folder, 1)
    broken = save(folder, 5) / name
    broken.write_bytes(broken.read_bytes()[: int(share * broken.stat().st_size)])
    assert newest(folder) == 1
    save(folder, 2)
    assert newest(folder) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000001", "step-00000002"]


def test_one_without_its_files_falls_back_too(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (save(tmp_path, 2) / "tensors.safetensors").unlink()
    assert newest(tmp_path) == 1
    (tmp_path / "step-00000001" / "state.json").unlink()
    assert newest(tmp_path) is None


def test_modules_and_optimizers_come_back(tmp_path: Path) -> None:
    def build(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
        module[2].weight = nn.Parameter(module[2].weight)
        return module, torch.optim.AdamW(module.parameters(), fused=True)

    (module, optimizer), (other, other_optimizer) = build(0), build(1)

    def step(module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        module(torch.arange(12.0).reshape(4, 3)).square().mean().backward()
        optimizer.step()

    step(module, optimizer)
    tensors = module_tensors("m.", module) | optimizer_tensors("o.", optimizer)
    save_checkpoint(tmp_path, 1, tensors, {})
    found = latest_checkpoint(tmp_path)
    assert found is not None
    load_module("m.", other, found[0])
    load_optimizer("o.", other_optimizer, found[0])
    for pair in ((module, optimizer), (other, other_optimizer)):
        step(*pair)
    assert module.state_dict().keys() == other.state_dict().keys()
    for name, tensor in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


def test_shared_weights_are_written_once_and_kept_shared() -> None:
    module = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    module["b"].weight = module["a"].weight
    tensors = module_tensors("", module)
    assert list(tensors) == ["a.weight"]
    load_module("", module, {"a.weight": torch.ones(2, 2)})
    assert module["b"].weight is module["a"].weight
    assert torch.equal(module["b"].weight, torch.ones(2, 2))


def test_a_missing_weight_is_no_silent_random_start() -> None:
    module = nn.Linear(2, 2)
    tensors = module_tensors("m.", module)
    del tensors["m.bias"]
    with pytest.raises(KeyError, match="bias"):
        load_module("m.", module, tensors)
