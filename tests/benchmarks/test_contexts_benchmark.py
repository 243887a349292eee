"""The measurement of contexts, on rows and models made here."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_run import sentences, tiny

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "augmentation" / "contexts.py"
QUICK = (
    *("students.0.layers=1", "students.0.hidden=16", "students.0.intermediate=24", "augmentation.variants=2"),
    *("augmentation.candidates=5", "task.max_length=20", "runtime.device=cpu"),
    *(f"phases.{phase}.training.epochs=2" for phase in ("intermediate", "prediction")),
    "teacher.finetune={epochs: 6, learning_rate: 0.003, batch_size: 8, warmup: 0.0}",
    "phases.prediction.training.learning_rate=0.01",
)


def write_sst2(folder: Path) -> None:
    folder.mkdir()
    for split, count in (("train", 48), ("dev", 40)):
        rows = [f"{text}\t{int(topic == 'animal')}" for text, topic in sentences(count, count)]
        (folder / f"{split}.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")


def measured(tmp_path, monkeypatch, capsys, *ways):
    arguments = ["teacher", "SST-2", "--ways", *ways, "--seeds", "1", "2", "--set", *QUICK]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["contexts", *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return capsys.readouterr().out


@pytest.mark.slow
def test_every_way_is_compared_with_the_papers_and_with_none(tmp_path, monkeypatch, capsys):
    tiny(tmp_path)
    write_sst2(tmp_path / "SST-2")
    text = measured(tmp_path, monkeypatch, capsys, "paired", "unmasked", "none")
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    header, *rows = [[cell.strip() for cell in line] for line in lines]
    assert [row[0] for row in rows] == ["paired", "unmasked", "none"]
    assert {len(row) for row in [header, *rows]} == {9}
    assert header[5] == "variants a row"
    assert all(0 < float(row[5]) <= 2 for row in rows[:2])
    assert rows[2][5] == ""
    for row in rows:
        mean, low, high = map(float, re.findall(r"[\d.]+", row[1]))
        assert low < mean < high
        assert mean == pytest.approx(np.mean([float(one) for one in row[2].split(", ")]), abs=0.06)
    assert rows[0][3] == rows[2][4] == ""
    assert re.fullmatch(r"[+-][\d.]+ \[[+-][\d.]+, [+-][\d.]+\]", rows[1][3])
    again = measured(tmp_path, monkeypatch, capsys, "paired", "unmasked", "none")
    assert [line for line in again.splitlines() if line.startswith("| ")] == [
        line for line in text.splitlines() if line.startswith("| ")
    ]
