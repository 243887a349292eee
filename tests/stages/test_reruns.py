"""Editing one thing reruns what depends on it and nothing else, and the plan had said so."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tiny_run import STAGES, Tiny, sentences, tiny, write_csv

from flows.plan import as_json, notes, plan_run
from pipeline.store import provenance

END = {"evaluation", "report"}
TIMED = {"latency", "report"}
MODELS = END | TIMED
STUDENT = {"intermediate", "prediction"} | MODELS
TEACHER = {"teacher", "teacher_logits"} | STUDENT
VARIANTS = {"augmentation", "teacher_logits"} | STUDENT
TASK = {"task_data", "candidates", "augmentation", "label_only"} | TEACHER

KEYS = {
    "runtime.num_threads=2": TIMED,
    "runtime.checkpoint_seconds=1000": set(),
    "runtime.device=auto": set(),
    "runtime.workers.kind=threads": set(),
    "name=other": {"report"},
    "evaluation.bootstrap=30": END,
    "evaluation.latency_lengths=[32]": TIMED,
    "evaluation.tfidf=false": END,
    "evaluation.label_only.epochs=2": {"label_only"} | MODELS,
    "phases.prediction.terms.soft.temperature=2": {"prediction"} | MODELS,
    "phases.prediction.training.learning_rate=0.002": {"prediction"} | MODELS,
    "phases.intermediate.terms.hidden=2": STUDENT,
    "augmentation.probability=0.5": VARIANTS,
    "augmentation.variants=3": VARIANTS,
    "augmentation.seed=6": VARIANTS,
    "augmentation.seed=5": {"report"},  # as the run's
    "augmentation.candidates=4": {"candidates"} | VARIANTS,
    "augmentation.context=masked": {"candidates"} | VARIANTS,
    "augmentation.masks_per_forward=2": {"candidates"} | VARIANTS,
    "students.1.dropout=0.2": STUDENT,
    "students.1.hidden=24": STUDENT | {"label_only"},
    "students.0.dropout=0.2": STUDENT | {"general_distillation", "label_only"},
    "general_distillation.terms.attention=0.5": {"general_distillation"} | STUDENT,
    "teacher.restarts=2": TEACHER,
    "teacher.finetune.epochs=2": TEACHER,
    "relu_logits=true": TEACHER,
    "task.max_length=18": TASK,
    "task.train_rows=40": TASK,
    "corpus.min_words=3": {"corpus", "general_distillation"} | STUDENT,
    "corpus.max_length=20": {"corpus", "general_distillation"} | STUDENT,
    "students.0.layer_map=top": STUDENT | {"general_distillation"},
    "students.0.start=random": STUDENT,
    "seed=6": set(STAGES) - {"corpus"},
    # Defaults that are stated; only the report shows that they were.
    "task.metric=accuracy": {"report"},
    "task.kind=classification": {"report"},
    "students.0.dropout=0.1": {"report"},
}
COSTLY = ("seed=6", "task.max_length=18")
QUICK = (
    "runtime.num_threads=2",
    "evaluation.latency_lengths=[32]",
    "name=other",
    "evaluation.label_only.epochs=2",
    "phases.prediction.terms.soft.temperature=2",
)


def append_a_row(run: Tiny) -> None:
    write_csv(run.folder / "train.csv", ("sentence", "topic"), list(sentences(49, 1)))


def change_the_dev_rows(run: Tiny) -> None:
    write_csv(run.folder / "dev.csv", ("sentence", "topic"), list(sentences(24, 7)))


def extend_the_corpus(run: Tiny) -> None:
    with (run.folder / "corpus.txt").open("a") as file:
        file.write("\nthe old heron crosses a bridge near the market\n")


def nudge_the_pretrained_teacher(run: Tiny) -> None:
    path = run.folder / "teacher" / "model.safetensors"
    weights = load_file(path)
    weights["bert.embeddings.LayerNorm.bias"] += 1e-3
    save_file(weights, path, {"format": "pt"})


def describe_the_teacher(run: Tiny) -> None:
    """What a hub or a trainer leaves beside a model, and edits."""
    folder = run.folder / "teacher"
    (folder / "onnx").mkdir()
    for name in ("README.md", ".gitattributes", "LICENSE.txt", "trainer_state.json", "onnx/config.json", "loss.png"):
        (folder / name).write_text("edited", encoding="utf-8")


def edit_the_tokenizer(run: Tiny) -> None:
    path = run.folder / "teacher" / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")


def edit_the_configuration(run: Tiny) -> None:
    path = run.folder / "teacher" / "config.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")


def touch_everything(run: Tiny) -> None:
    for path in run.folder.rglob("*"):
        if "artifacts" not in path.parts:
            os.utime(path, (1, 1))


EDITS: dict[Callable[[Tiny], None], set[str]] = {
    append_a_row: TASK,
    change_the_dev_rows: TASK,
    extend_the_corpus: {"corpus", "general_distillation"} | STUDENT,
    nudge_the_pretrained_teacher: set(STAGES) - {"task_data"},
    describe_the_teacher: set(),
    edit_the_tokenizer: set(STAGES) - {"task_data"},
    edit_the_configuration: set(STAGES) - {"task_data"},
    touch_everything: set(),
}


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    return tiny(tmp_path, finished=True)


@pytest.mark.parametrize("change", KEYS)
def test_the_plan_names_what_depends_on_a_key_and_the_key(run: Tiny, change: str) -> None:
    steps = run.plan(change)
    assert {name for name, reason in steps.items() if reason.action != "reuse"} == KEYS[change]
    key, value = change.split("=")
    for name in KEYS[change]:
        own = [line for line in steps[name].reasons if line.startswith("configuration:")]
        upstream = [line for line in steps[name].reasons if line.startswith("input:")]
        assert own or upstream
        assert all(len(line) < 200 for line in own)
    said = " ".join(line for reason in steps.values() for line in reason.reasons)
    assert not KEYS[change] or (key.split(".")[-1] in said and value.strip("[]") in said)


@pytest.mark.parametrize("change", EDITS, ids=lambda change: change.__name__)
def test_the_plan_names_what_depends_on_a_file(run: Tiny, change: Callable[[Tiny], None]) -> None:
    change(run)
    assert {name for name, reason in run.plan().items() if reason.action != "reuse"} == EDITS[change]


@pytest.mark.parametrize(
    "change", [pytest.param(key, marks=[pytest.mark.slow] if key in COSTLY else []) for key in (*QUICK, *COSTLY)]
)
def test_what_the_plan_said_is_what_runs(run: Tiny, change: str) -> None:
    steps = run.plan(change)
    outcomes = run.run(change)
    assert set(outcomes) == set(steps)
    for name, outcome in outcomes.items():
        assert (outcome.state == "reused") == (steps[name].action == "reuse"), name
    assert all(reason.action == "reuse" for reason in run.plan(change).values())
    assert all(reason.action == "reuse" for reason in run.plan().values())  # what was there still is
    assert run.versions() == {name: [1, 2] if name in KEYS[change] else [1] for name in STAGES}


def test_moving_the_inputs_changes_no_result(run: Tiny) -> None:
    """Only the report shows where files lie."""
    (run.folder / "elsewhere").mkdir()
    for name in ("corpus.txt", "train.csv", "teacher"):
        shutil.move(run.folder / name, run.folder / "elsewhere" / name)
    moved = (
        "corpus.paths=[elsewhere/corpus.txt]",
        "task.train=elsewhere/train.csv",
        "task.dev=dev.csv",
        "teacher.model=./elsewhere/teacher",
    )
    steps = run.plan(*moved)
    assert {name for name, reason in steps.items() if reason.action != "reuse"} <= {"report"}


def test_a_result_that_was_there_before_is_found_again(run: Tiny) -> None:
    """Back and forth between two values costs one run of each."""
    run.run("phases.prediction.terms.soft.temperature=2", until="prediction")
    assert {outcome.state for outcome in run.run(until="prediction").values()} == {"reused"}
    assert {
        outcome.state for outcome in run.run("phases.prediction.terms.soft.temperature=2", until="prediction").values()
    } == {"reused"}


def test_the_seed_of_a_run_is_no_part_of_what_it_does_not_change(run: Tiny) -> None:
    """The teacher's logits follow from the teacher and its rows alone; only these depend on the seed."""
    by_seed = [{stage.name: stage.settings for stage in run.stages(f"seed={seed}")} for seed in (5, 6)]
    same = {name for name, settings in by_seed[0].items() if settings == by_seed[1][name]}
    assert {"corpus", "candidates", "teacher_logits"} <= same


def test_an_edited_segmenter_makes_the_candidates_anew_and_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    run, file = tiny(tmp_path / "run"), tmp_path / "cutter_of_reruns.py"
    monkeypatch.chdir(run.folder)
    words = "augmentation.words={language: chinese, segmentation: 'cutter_of_reruns:cut'}"

    def fingerprints() -> dict[str, str]:
        return {stage.name: run.store.fingerprint(stage) for stage in run.stages(words)}

    file.write_text("def cut(text):\n    return list(text)\n")
    before = fingerprints()
    assert fingerprints() == before
    file.write_text("def cut(text):\n    return [text]\n")
    after = fingerprints()
    assert {name for name in before if before[name] != after[name]} == {"candidates"} | VARIANTS


def test_a_plan_mentions_libraries_that_changed_since_and_reuses_all_the_same(
    run: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = provenance.packages()
    monkeypatch.chdir(run.folder)
    steps = plan_run(run.config())
    assert notes(steps, run.store) == []
    monkeypatch.setattr(provenance, "packages", lambda: installed | {"torch": "9.0", "prefect": "9.0"})
    assert [reason.action for _, reason in plan_run(run.config())] == ["reuse"] * len(STAGES)
    (line,) = notes(steps, run.store)
    assert line.startswith(f"made with torch {installed['torch']} (now 9.0), and kept as they are: corpus, ")
    assert all(stage in line for stage in STAGES)
    assert {tuple(step["other_versions"]) for step in as_json(steps, run.store)} == {("torch",)}


def test_on_another_machine_the_models_are_timed_anew_and_nothing_else(run: Tiny) -> None:
    """The same folder, on a machine with one core; the machine is part of no other result."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        elsewhere = run.plan()
        outcomes = run.run()
    finally:
        os.sched_setaffinity(0, cores)
    made = {name for name, outcome in outcomes.items() if outcome.state != "reused"}
    assert made == {name for name, reason in elsewhere.items() if reason.action != "reuse"}
    assert made == (TIMED if len(cores) > 1 else set())
    found = json.loads((run.path("report") / "results.json").read_text())
    assert (found["machine"]["cores"], found["machine"]["num_threads"]) == (1, 1)
    assert all(reason.action == "reuse" for reason in run.plan().values())  # what was measured here still is
