"""The precision is resolved without torch where there is no GPU, and is part of what trainings depend on."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_run import STAGES, Tiny, save_teacher, tiny

from pipeline.config.precision import Precision
from pipeline.device.peak import matmul_peak
from pipeline.engine.precision import may_have_gpu, student_precision, teacher_precision
from pipeline.engine.run_training import slow_precision

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A run that nobody has started, whose folder we are in."""
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path)


NARROW = "students=[{layers: 3, hidden: 192}]"
WIDE = "students=[{name: narrow, layers: 3, hidden: 192}, {name: wide, preset: tinybert-4l-312d}]"
GIVEN = "students=[{start: some/model}]"


@pytest.mark.parametrize(
    ("flags", "students", "expected"),
    [
        ("avx2 avx512f", WIDE, "float32"),
        ("amx_bf16 amx_tile", WIDE, "bfloat16"),
        ("amx_bf16 amx_tile", GIVEN, "bfloat16"),
        ("amx_bf16 amx_tile", NARROW, "float32"),
    ],
)
def test_auto_is_what_the_cpu_has_units_for(
    files: Tiny, monkeypatch: pytest.MonkeyPatch, flags: str, students: str, expected: Precision
) -> None:
    monkeypatch.setattr("pipeline.device.host._text", lambda _path: f"flags\t\t: fpu {flags}\n")
    assert student_precision(files.config("precision=auto", "runtime.device=cpu", students)) == expected


def test_auto_pays_on_this_cpu(files: Tiny) -> None:
    assert slow_precision(student_precision(files.config("precision=auto", "runtime.device=cpu", WIDE)), CPU) is None


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_what_is_asked_for_is_taken(files: Tiny, precision: Precision, device: str) -> None:
    config = files.config(f"precision={precision}", f"runtime.device={device}")
    assert student_precision(config) == teacher_precision(config) == precision


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_gpu_is_none(files: Tiny, monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not may_have_gpu()
    here, cpu = (
        student_precision(files.config("precision=auto", f"runtime.device={device}")) for device in ("auto", "cpu")
    )
    assert here == cpu


@pytest.fixture
def amx(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with units for bfloat16."""
    monkeypatch.setattr("pipeline.device.host._text", lambda _path: "flags\t\t: fpu amx_bf16\n")


ON_CPU = ("precision=auto", "runtime.device=cpu")


@pytest.mark.usefixtures("amx")
@pytest.mark.parametrize(
    ("hidden", "students", "teacher", "student"),
    [
        (32, NARROW, "float32", "float32"),
        (32, WIDE, "float32", "bfloat16"),
        (256, NARROW, "bfloat16", "float32"),
        (256, WIDE, "bfloat16", "bfloat16"),
    ],
)
def test_teacher_and_students_are_decided_apart_each_by_its_own_width(
    files: Tiny, hidden: int, students: str, teacher: Precision, student: Precision
) -> None:
    save_teacher(files.folder / "teacher", hidden_size=hidden)
    config = files.config(*ON_CPU, students)
    assert (teacher_precision(config), student_precision(config)) == (teacher, student)


@pytest.mark.usefixtures("amx")
def test_a_student_that_starts_from_a_folder_is_as_wide_as_its_folder_says(files: Tiny) -> None:
    assert student_precision(files.config(*ON_CPU, "students=[{start: ./teacher}]")) == "float32"


@pytest.mark.usefixtures("amx")
def test_a_wide_student_more_changes_nothing_about_the_teacher(files: Tiny) -> None:
    narrow = "{name: narrow, layers: 1, hidden: 16}"
    before, after = (
        {stage.name: files.store.fingerprint(stage) for stage in files.stages(*ON_CPU, f"students=[{students}]")}
        for students in (narrow, f"{narrow}, {{name: wide, layers: 1, hidden: 256, start: random}}")
    )
    assert {name for name in before if before[name] == after[name]} == set(STAGES) - {
        *("intermediate", "prediction", "label_only", "evaluation", "latency", "report")
    }


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_auto_is_what_the_gpu_has(files: Tiny) -> None:
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    assert student_precision(files.config("precision=auto", "runtime.device=auto")) == (
        "bfloat16" if native else "float32"
    )


def test_without_a_gpu_torch_is_not_loaded_to_tell(files: Tiny) -> None:
    code = (
        "import os, sys\nos.environ['CUDA_VISIBLE_DEVICES'] = ''\n"
        "from pipeline.config.load import load_config\nfrom pipeline.engine.precision import student_precision\n"
        "config = load_config('tiny.yaml', ['precision=auto', 'runtime.device=auto'])\n"
        "print(student_precision(config), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=files.folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [student_precision(files.config("precision=auto", "runtime.device=cpu")), "False"]


def test_another_precision_trains_anew_and_no_more_than_that(files: Tiny) -> None:
    before, after = (
        {stage.name: files.store.fingerprint(stage) for stage in files.stages(f"precision={precision}")}
        for precision in ("float32", "bfloat16")
    )
    assert set(before) == set(STAGES)
    assert {name for name in before if before[name] == after[name]} == {
        "corpus",
        "task_data",
        "candidates",
        "augmentation",
    }


def test_the_device_is_no_part_of_it_where_the_precision_is_named(files: Tiny) -> None:
    here, there = (
        {stage.name: files.store.fingerprint(stage) for stage in files.stages("precision=float32", device)}
        for device in ("runtime.device=cpu", "runtime.device=auto")
    )
    assert here == there


def test_a_teacher_that_is_not_trained_has_none(files: Tiny) -> None:
    for precision in ("float32", "bfloat16"):
        stage = files.stages("teacher.finetune=null", f"precision={precision}").teacher
        assert stage is not None
        assert stage.settings["precision"] is None


def test_a_precision_that_does_not_pay_is_said_with_the_measured_ratio() -> None:
    ratio = matmul_peak(CPU, torch.float32) / matmul_peak(CPU, torch.bfloat16)
    said = slow_precision("bfloat16", CPU)
    assert slow_precision("float32", CPU) is None
    if ratio > 1.1:
        assert said is not None
        assert f"{ratio:.1f}x slower" in said
        assert "set precision to float32 or auto" in said
    else:
        assert said is None


def test_a_run_in_bfloat16_ends_with_other_students_that_open_in_float32(files: Tiny) -> None:
    from pipeline.models.load import load_finetuned
    from pipeline.models.source import ModelSource

    files.run("precision=float32", until="intermediate")
    files.run("precision=bfloat16", until="intermediate")
    plain, half = (
        load_finetuned(ModelSource(str(artifact.path / "students" / "distilled"))).state_dict()
        for artifact in files.store.list()
        if artifact.manifest.stage == "intermediate"
    )
    assert {tensor.dtype for tensor in half.values()} == {torch.float32}
    assert any(not torch.equal(plain[name], half[name]) for name in plain)
    for name, tensor in plain.items():
        torch.testing.assert_close(half[name], tensor, atol=0.05, rtol=0.05)
