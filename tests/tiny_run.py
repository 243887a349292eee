"""A whole two-stage run so small that it takes seconds: its files, its configuration, and how to run it.

A tiny run is a folder like a user's: ``tiny.yaml`` beside a corpus, a teacher and a task, all named by relative
paths, and the store they fill. It is made once a process and copied, so each test may spoil its own.
"""

import atexit
import csv
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from pipeline.config.load import load_config
from pipeline.config.run import RunConfig
from pipeline.stages.graph import TwoStage, two_stage
from pipeline.store.artifact import Artifact
from pipeline.store.explain import Reason, plan
from pipeline.store.materialize import Outcome, materialize
from pipeline.store.store import Store

TOPICS = {
    "animal": ["otter", "badger", "heron", "lizard", "sparrow", "walrus", "beetle"],
    "city": ["harbour", "avenue", "subway", "plaza", "bridge", "market", "tower"],
    "food": ["bread", "pepper", "noodle", "butter", "cherry", "onion", "walnut"],
}
FILLERS = (
    *("the", "quick", "old", "small", "quiet", "bright", "near"),
    *("under", "finds", "sees", "crosses", "makes", "carries", "keeps"),
)
TRAINING = {"epochs": 1, "learning_rate": 1e-3, "batch_size": 8}
LEARNING = {"epochs": 8, "learning_rate": 3e-3, "batch_size": 8, "warmup": 0.0}  # enough for the teacher to know better
SHAPE = {"layers": 1, "hidden": 16, "intermediate": 24}
STUDENTS = ("distilled", "random-start")
STAGES = (
    *("corpus", "general_distillation", "task_data", "teacher", "candidates", "augmentation", "teacher_logits"),
    *("intermediate", "prediction", "label_only", "evaluation", "latency", "report"),
)
TREE: dict[str, Any] = {
    "name": "tiny",
    "seed": 5,
    "precision": "float32",  # on every machine: references are
    "corpus": {"paths": ["corpus.txt"], "max_length": 24, "min_words": 2},
    "teacher": {"model": "./teacher", "finetune": LEARNING},
    "task": {
        "name": "topics",
        "train": "train.csv",
        "dev": "dev.csv",
        "unlabelled": ["extra.txt"],
        "text": "sentence",
        "label": "topic",
        "max_length": 20,
    },
    "students": [
        {"name": "distilled", **SHAPE},
        {"name": "random-start", **SHAPE, "start": "random"},
    ],
    "general_distillation": {"training": TRAINING},
    "augmentation": {"variants": 2, "candidates": 5, "context": "paired"},
    "phases": {"intermediate": {"training": TRAINING, "fit_head": False}, "prediction": {"training": TRAINING}},
    "evaluation": {
        "label_only": TRAINING,
        "bootstrap": 20,
        "tfidf": True,
        "latency_lengths": [8, 16],
        "latency_batches": [1, 2],
    },
    "runtime": {
        "store": "artifacts",
        "device": "cpu",
        "num_threads": 1,
        "checkpoint_seconds": 1e-6,
        "checkpoint_share": 1.0,
    },
}
PRETRAINED: dict[str, Any] = TREE | {
    "corpus": TREE["corpus"] | {"tokenizer": {"vocab_size": 100}},
    "pretrain": {
        "mode": "scratch",
        "architecture": {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 24},
        "max_length": 40,
        "training": TRAINING | {"epochs": 3, "max_tokens": None},
    },
    "teacher": {"finetune": LEARNING},
}
EVERY_STAGE = (*STAGES, "pretrain")


class Notes:
    """Progress that remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        pass

    def note(self, message: str) -> None:
        self.lines.append(message)


class Tiny:
    """A tiny run in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "tiny.yaml"
        self.notes = Notes()

    @property
    def store(self) -> Store:
        return Store(self.folder / "artifacts")

    def config(self, *overrides: str) -> RunConfig:
        with chdir(self.folder):
            return load_config("tiny.yaml", overrides)

    def stages(self, *overrides: str, until: str | None = None) -> TwoStage:
        with chdir(self.folder):
            return two_stage(self.config(*overrides), until)

    def run(self, *overrides: str, until: str | None = None) -> dict[str, Outcome]:
        """Every stage in the order of the paper, without Prefect."""
        config = self.config(*overrides)
        store = Store(self.folder / config.runtime.store)
        with chdir(self.folder):
            return {
                stage.name: materialize(stage, store, config.runtime, self.notes) for stage in two_stage(config, until)
            }

    @property
    def names(self) -> tuple[str, ...]:
        """Of all its stages."""
        return tuple(stage.name for stage in self.stages())

    def plan(self, *overrides: str) -> dict[str, Reason]:
        """What would happen to each stage, and why."""
        config = self.config(*overrides)
        store = Store(self.folder / config.runtime.store)
        with chdir(self.folder):
            return {stage.name: reason for stage, reason in plan(two_stage(config), store)}

    def artifact(self, stage: str) -> Artifact:
        """The newest of a stage."""
        return self.store.open(stage)

    def path(self, stage: str) -> Path:
        return self.artifact(stage).path

    def versions(self) -> dict[str, list[int]]:
        """Stage -> version numbers of its artifacts."""
        found: dict[str, list[int]] = {}
        for artifact in self.store.list():
            found.setdefault(artifact.manifest.stage, []).append(artifact.manifest.version)
        return found

    def students(self) -> dict[str, str]:
        """SHA-256 of the final students' weights."""
        folder = self.path("prediction") / "students"
        return {name: sha256((folder / name / "model.safetensors").read_bytes()).hexdigest() for name in STUDENTS}


def tiny(folder: Path, *, finished: bool = False) -> Tiny:
    """A tiny run in ``folder``, its store empty or filled by a run that was never disturbed."""
    shutil.copytree(_finished() if finished else _files(), folder, dirs_exist_ok=True)
    return Tiny(folder)


def finished_with(folder: Path, stage: str) -> Tiny:
    """A finished run that has this stage: the usual one, or one that pretrains its teacher."""
    if stage in STAGES:
        return tiny(folder, finished=True)
    shutil.copytree(_pretrained(), folder, dirs_exist_ok=True)
    return Tiny(folder)


def write_tree(folder: Path, tree: dict[str, Any]) -> None:
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def sentences(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Sentences with their topic; the topic's words are in it."""
    dice = random.Random(seed)
    for number in range(count):
        topic = list(TOPICS)[number % len(TOPICS)]
        words = [*dice.sample(FILLERS, dice.randint(2, 6)), *dice.sample(TOPICS[topic], 2)]
        dice.shuffle(words)
        yield " ".join(words), topic


def save_teacher(folder: Path, **shape: Any) -> None:
    """A random BERT with a masked-LM head, two layers, 32 wide, and the tokenizer of the corpus."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    tokenizer = _tokenizer()
    usual = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 48,
        "pad_token_id": tokenizer.pad_token_id,
    }
    torch.manual_seed(1)
    BertForMaskedLM(BertConfig(**(usual | shape))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@cache
def _tokenizer() -> Any:
    from pipeline.data.tokens.tokenizer import train_wordpiece

    return train_wordpiece((text for text, _ in sentences(60, 0)), 110, model_max_length=48)


@cache
def _files() -> Path:
    folder = _temporary()
    paragraphs = [text for text, _ in sentences(60, 0)]
    documents = ["\n".join(paragraphs[start : start + 4]) for start in range(0, 60, 4)]
    (folder / "corpus.txt").write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    write_csv(folder / "train.csv", ("sentence", "topic"), list(sentences(48, 1)))
    write_csv(folder / "dev.csv", ("sentence", "topic"), list(sentences(24, 2)))
    (folder / "extra.txt").write_text("\n".join(text for text, _ in sentences(9, 3)) + "\n", encoding="utf-8")
    save_teacher(folder / "teacher")
    write_tree(folder, TREE)
    return folder


@cache
def _finished() -> Path:
    folder = _temporary()
    run = tiny(folder)
    run.run()
    return folder


@cache
def _pretrained() -> Path:
    folder = _temporary()
    run = tiny(folder)
    write_tree(folder, PRETRAINED)
    run.run()
    return folder


def _temporary() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tiny-run-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
