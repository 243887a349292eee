"""Relative paths of a configuration: made absolute, or written in one way whatever the user wrote."""

import os
from collections.abc import Callable
from pathlib import Path

from pipeline.config.builtin import PREFIX, home_path
from pipeline.config.models import STARTS
from pipeline.config.run import RunConfig

LIKE_A_PATH = (".", "/", "~")


def anchored(config: RunConfig, folder: Path) -> RunConfig:
    """Return the configuration with every relative path made absolute.

    A name that may be a folder or a hub id is a folder if that exists, as everywhere else.

    Args:
        config: the configuration.
        folder: where relative paths start.
    """
    return _located(config, folder, str)


def as_shown(config: RunConfig, folder: Path) -> RunConfig:
    """Return the configuration with every path written in one way.

    Paths within the folder of the store are relative to that folder, so that they are the same in a copy of all of it;
    other paths are absolute.

    Args:
        config: the configuration.
        folder: where relative paths start.
    """
    beside = Path(os.path.normpath(folder / home_path(config.runtime.store))).parent

    def spelt(path: Path) -> str:
        whole = Path(os.path.normpath(path))
        return str(whole.relative_to(beside) if whole.is_relative_to(beside) else whole)

    return _located(config, folder, spelt)


def _located(config: RunConfig, folder: Path, spelt: Callable[[Path], str]) -> RunConfig:
    """Return the configuration with every path made absolute and then written by ``spelt``."""

    def file(location: str | None) -> str | None:
        return location and spelt(folder / home_path(location))

    def files(locations: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(spelt(folder / home_path(location)) for location in locations)

    def model(location: str | None, *words: str) -> str | None:
        if not location or location in words or location.startswith(PREFIX):
            return location
        named_folder = folder / home_path(location)
        if not (location.startswith(LIKE_A_PATH) or named_folder.is_dir()):
            return location
        place = spelt(named_folder)
        return f"./{place}" if place in words else place  # a folder named like a word is still a folder

    corpus, task, augmentation = config.corpus, config.task, config.augmentation
    if corpus is not None:
        tokenizer = model(corpus.tokenizer) if isinstance(corpus.tokenizer, str) else corpus.tokenizer
        changes = {"paths": files(corpus.paths), "hub": model(corpus.hub), "tokenizer": tokenizer}
        corpus = corpus.model_copy(update=changes)
    if task is not None:
        named = {name: file(getattr(task, name)) for name in ("dir", "train", "dev", "test")}
        task = task.model_copy(update={**named, "hub": model(task.hub), "unlabelled": files(task.unlabelled)})
    if augmentation is not None:
        vectors = augmentation.vectors
        if vectors is not None:
            vectors = vectors.model_copy(update={"path": file(vectors.path)})
        augmentation = augmentation.model_copy(update={"mlm": model(augmentation.mlm, "teacher"), "vectors": vectors})
    teacher = config.teacher.model_copy(update={"model": model(config.teacher.model)})
    students = tuple(student.model_copy(update={"start": model(student.start, *STARTS)}) for student in config.students)
    runtime = config.runtime.model_copy(update={"store": file(config.runtime.store)})
    sections = {"corpus": corpus, "task": task, "augmentation": augmentation, "teacher": teacher}
    return config.model_copy(update={**sections, "students": students, "runtime": runtime})
