"""Teacher and students take a thread each where products are small, on two cores, if nobody decided otherwise."""

from typing import Any

import pytest
import torch

from pipeline.config.runtime import Runtime
from pipeline.engine.threads import one_thread_each, runs_ahead
from pipeline.training.loop import Training

SMALL = {"runtime": Runtime(), "device": torch.device("cpu"), "widths": [192, 84], "dropout": False}


@pytest.fixture
def two_threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("changed", "ahead"),
    [
        ({}, True),
        ({"widths": [768, 84]}, False),
        ({"dropout": True}, False),
        ({"runtime": Runtime(num_threads=2)}, False),
        ({"device": torch.device("cuda")}, False),
    ],
    ids=["small", "wide", "drawing", "decided", "gpu"],
)
def test_who_takes_a_thread_each(changed: dict[str, Any], ahead: bool) -> None:
    assert runs_ahead(**(SMALL | changed)) == ahead


def test_a_single_thread_is_shared_by_nobody() -> None:
    assert torch.get_num_threads() == 1
    assert not runs_ahead(**SMALL)


@pytest.mark.usefixtures("two_threads")
def test_threads_are_as_before_after_it() -> None:
    training = Training({}, [], lambda _rows, _step: {})
    with one_thread_each(training, ahead=True) as shared:
        assert (torch.get_num_threads(), shared.ahead) == (1, True)
    assert torch.get_num_threads() == 2
    with one_thread_each(training, ahead=False) as shared:
        assert (torch.get_num_threads(), shared.ahead) == (2, False)
