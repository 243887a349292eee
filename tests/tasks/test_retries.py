"""Which failures are tried again: those that pass by themselves."""

import errno
from types import SimpleNamespace

import httpx
import pytest

from pipeline.errors import DataError, ModelError, StoreError, TrainingError
from tasks.retries import retry_condition, transient


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


OfflineModeIsEnabled = type("OfflineModeIsEnabled", (ConnectionError,), {})  # as the hub's client calls it

LOST = [
    ConnectionResetError("peer"),
    TimeoutError("slow"),
    httpx.ConnectError("refused"),
    raised_from(ModelError("cannot load bert-base from the hub"), ConnectionError("unreachable")),
    raised_from(DataError("no data set"), raised_from(RuntimeError("download"), httpx.ReadTimeout("slow"))),
]
STANDING = [
    TrainingError("the loss is not finite at step 7"),
    StoreError("no space left"),
    OSError(errno.ENOSPC, "no space left on device"),
    MemoryError(),
    RuntimeError("CUDA out of memory"),
    ValueError("a defect of ours"),
    ModelError("teacher has 4 attention heads, student 8"),
    raised_from(ModelError("bert-base is not in the cache"), OfflineModeIsEnabled("offline")),
]


@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_lost_connection_is_tried_again(error: Exception) -> None:
    assert transient(error)


@pytest.mark.parametrize("error", STANDING, ids=repr)
def test_what_would_fail_again_is_not(error: Exception) -> None:
    assert not transient(error)


def test_what_merely_happened_before_is_no_cause() -> None:
    error = ModelError("no such model")
    error.__context__ = ConnectionError("the cache was asked first")
    assert not transient(error)


def test_prefect_is_answered_about_a_state() -> None:
    assert retry_condition(None, None, SimpleNamespace(data=ConnectionError()))
    assert not retry_condition(None, None, SimpleNamespace(data=TrainingError("not finite")))
    assert not retry_condition(None, None, SimpleNamespace(data=None))
