"""Retention: what a configuration says about old versions is done at the end of a run, and never to what it used."""

import logging
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from tiny_run import Tiny, tiny

from pipeline.errors import StoreError
from pipeline.store.store import Store
from tasks.build import build_stages, upkeep


def run(one: Tiny, *overrides: str) -> None:
    with chdir(one.folder):
        build_stages(one.stages(*overrides, until="task_data"), one.config(*overrides).runtime)


def test_nothing_is_removed_unless_it_is_asked_for(tmp_path: Path) -> None:
    one = tiny(tmp_path)
    for length in (19, 18, 17):
        run(one, f"task.max_length={length}")
    assert one.versions() == {"task_data": [1, 2, 3]}


def test_old_versions_go_and_tagged_ones_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = tiny(tmp_path)
    caplog.set_level(logging.INFO, "tinybert")
    run(one, "task.max_length=19")
    one.store.tag("task_data/v1", "mine")
    for length in (18, 17, 16):
        run(one, f"task.max_length={length}", "runtime.retention={keep: 2}")
    assert one.versions() == {"task_data": [1, 3, 4]}
    assert "retention removed task_data/v0002-" in caplog.text


def test_what_the_run_used_stays_though_it_is_old(tmp_path: Path) -> None:
    one = tiny(tmp_path)
    for length in (19, 18, 17):
        run(one, f"task.max_length={length}")
    run(one, "task.max_length=19", "runtime.retention={keep: 1}")
    assert one.versions() == {"task_data": [1, 3]}


def test_a_run_that_failed_prunes_nothing(tmp_path: Path) -> None:
    one = tiny(tmp_path)
    for length in (19, 18):
        run(one, f"task.max_length={length}")
    runtime = one.config("runtime.retention={keep: 1}").runtime
    with chdir(one.folder), pytest.raises(ZeroDivisionError), upkeep(runtime, logging.getLogger("tinybert")):
        raise ZeroDivisionError
    assert one.versions() == {"task_data": [1, 2]}


def test_a_store_that_cannot_be_pruned_is_no_failure_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = tiny(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise StoreError("cannot use the store")

    monkeypatch.setattr(Store, "prune", refuse)
    run(one, "task.max_length=19", "runtime.retention={keep: 1}")
    assert "the store was not pruned: cannot use the store" in caplog.text
