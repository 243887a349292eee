import logging
import re
import runpy
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.engine.precision import cpu_has_bfloat16

FOLDER = Path(__file__).parents[2] / "benchmarks" / "engine"
MODULES = ("setting", "rounds", "released_way", "precision")


@pytest.fixture(autouse=True)
def as_a_script(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    logging.disable(logging.NOTSET)
    for name in MODULES:
        sys.modules.pop(name, None)


def printed(name, monkeypatch, capsys, *options):
    monkeypatch.setattr(sys, "argv", [name, "--quick", *options])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def numbers(pattern, text):
    return [float(found.replace(",", "")) for found in re.findall(pattern, text)]


def test_share_of_peak_counts_only_work_done(monkeypatch, capsys):
    text = printed("share_of_peak", monkeypatch, capsys)
    shares = numbers(r"share of peak ([\d.]+)", text)
    assert len(shares) == (8 if cpu_has_bfloat16() else 4)
    assert all(0 <= share < 1 for share in shares)
    assert any(shares)


def test_plain_forms_are_timed_beside_the_engines(monkeypatch, capsys):
    text = printed("plain_forms", monkeypatch, capsys)
    ratios = numbers(r" ([\d.]+) times as fast", text)
    assert len(ratios) in {1 + 6, 1 + 12}  # kept memory; two cases and three ways, in one precision or both
    assert all(ratio > 0 for ratio in ratios)


def test_released_way_takes_turns_with_the_engine(monkeypatch, capsys):
    text = printed("released_way", monkeypatch, capsys)
    assert len(re.findall(r"goal", text)) == 2
    assert all(ratio > 0 for ratio in numbers(r"engine is ([\d.]+) times", text))


def test_many_students_share_a_teacher_pass(monkeypatch, capsys):
    text = printed("many_students", monkeypatch, capsys)
    ratios = numbers(r": ([\d.]+) times as fast", text)
    assert len(ratios) == 3
    assert ratios[0] == 1


def test_stored_features_give_the_same_losses(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = printed("teacher_store", monkeypatch, capsys)
    assert "the same to the last bit" in text
    assert len(numbers(r"an epoch, ([\d,]+) real", text)) == 9


def test_whole_epochs_ask_the_teacher_once(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = printed("teacher_store", monkeypatch, capsys, "--whole")
    assert "losses are the same to the last bit" in text
    batches = int(numbers(r"^(\d+) batches", text.split("\n", 1)[1])[0])
    assert f"{{'computed': {batches}, 'read': {10 * batches}, 'written': {batches}}}" in text


def test_each_width_is_timed_in_both_precisions(monkeypatch, capsys):
    text = printed("precision", monkeypatch, capsys)
    assert len(numbers(r"bfloat16 is ([\d.]+) times", text)) == 2


def test_textbrewer_takes_turns_with_the_engine(monkeypatch, capsys):
    pytest.importorskip("textbrewer")
    text = printed("textbrewer_step", monkeypatch, capsys)
    assert len(re.findall(r"goal", text)) == 2
    assert all(speed > 0 for speed in numbers(r"TextBrewer, padded to \S+: ([\d,]+) real", text))


def test_the_released_way_computes_what_the_library_computes():
    setting, released = import_module("setting"), import_module("released_way")
    bert = setting.model(setting.QUICK_TEACHER, 0).eval()
    batch = setting.padded(setting.made_up_rows(5, mean=12.0), 40)
    real = batch["attention_mask"].bool()
    with torch.no_grad():
        states, scores = released.eager(bert, batch)
        wanted = bert(**batch, output_hidden_states=True).hidden_states
    assert len(scores) == setting.QUICK_TEACHER.layers
    for state, want in zip(states, wanted, strict=True):
        torch.testing.assert_close(state[real], want[real], atol=1e-5, rtol=1e-5)


def test_flops_are_those_torch_counts_without_padding():
    setting, released = import_module("setting"), import_module("released_way")
    teacher, student = setting.QUICK_TEACHER, setting.QUICK_STUDENT
    rows = [row[:9] for row in setting.made_up_rows(4, mean=40.0)]
    batch = setting.padded(rows)
    run = released.Released(rows, teacher, student, batches=1)
    with FlopCounterMode(display=False) as counted:
        run._step(batch)
    # The released way compares the scores that its forward pass has anyway: they are no work beside it.
    scores = 2 * (4 * 9 * 9) * student.layers * (3 * student.hidden + teacher.hidden)
    assert counted.get_total_flops() == setting.step_flops(rows, teacher, student) - scores


def test_typical_batches_are_padded_as_little_as_all_of_them():
    setting = import_module("setting")
    rows = setting.made_up_rows(20_000, mean=12.6)
    chosen = setting.typical(rows, 16)
    assert len(chosen) == 16 * setting.BATCH
    assert np.mean([len(row) for row in chosen]) == pytest.approx(np.mean([len(row) for row in rows]), rel=0.1)
    engine = setting.Engine(chosen, setting.QUICK_TEACHER, {"student": setting.QUICK_STUDENT})
    assert engine.padding_efficiency > 0.95


def test_a_model_has_the_same_weights_whatever_attention_it_runs_on():
    setting = import_module("setting")
    plain, eager = (setting.model(setting.QUICK_STUDENT, 1, attention=attention) for attention in (None, "eager"))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), eager.parameters(), strict=True))
    assert eager.config._attn_implementation == "eager"


@pytest.mark.parametrize("usual", [False, True])
def test_a_training_beside_other_work_says_its_seconds(usual, monkeypatch, capsys):
    """The part that each measurement runs as a process of its own."""
    options = ("--train", *(["--usual-slices"] if usual else []))
    assert float(printed("contention", monkeypatch, capsys, *options).splitlines()[-1]) > 0
