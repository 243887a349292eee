import re
import runpy
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks" / "augmentation"
MODULES = ("setting", "written", "released_way", "candidates")


@pytest.fixture(autouse=True)
def as_a_script(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in MODULES:  # other benchmarks have modules of these names
        sys.modules.pop(name, None)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    for name in MODULES:
        sys.modules.pop(name, None)


def printed(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--quick"])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def test_paired_candidates_are_those_of_the_released_way(monkeypatch, capsys):
    text = printed("candidates", monkeypatch, capsys)
    same, total = map(int, re.search(r"(\d+) of (\d+) lists of candidates are the same", text).groups())
    assert same == total > 20
    assert len(re.findall(r"[\d.]+ times as fast", text)) == 7


def test_sampling_says_how_many_variants_a_second(monkeypatch, capsys):
    text = printed("sampling", monkeypatch, capsys)
    assert float(re.search(r"([\d,]+) a second of one core", text)[1].replace(",", "")) > 0


def test_rows_that_would_be_there_twice_are_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "dev.tsv").write_text("sentence\tlabel\nlazy fox\t1\nlazy fox\t0\nlovely dog\t1\n")
    monkeypatch.setattr(sys, "argv", ["sampling", str(tmp_path / "dev.tsv"), "--rows", "3"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(FOLDER / "sampling.py"), run_name="__main__")
    assert "has 2 distinct sentences: give a larger one, or --rows 2" in capsys.readouterr().err


def test_vectors_are_timed_twice(monkeypatch, capsys):
    text = printed("vectors", monkeypatch, capsys)
    assert len(re.findall(r"500 x 300 ready in [\d.]+ s", text)) == 3


def test_memory_has_a_slope(monkeypatch, capsys):
    text = printed("memory", monkeypatch, capsys)
    assert len(re.findall(r"bytes a row, so [-\d.]+ GB for 10,000,000 rows", text)) == 4


def test_made_up_sentences_are_as_long_as_is_said():
    sentences = import_module("setting").made_up_sentences(2_000)
    assert len(set(sentences)) == 2_000
    assert sum(len(text.split()) for text in sentences) / 2_000 == pytest.approx(12.8, abs=0.5)
