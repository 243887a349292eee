import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.progress import Progress
from tasks.progress import LoggedProgress, listening, progress_for, show

ALWAYS, NEVER = 0.0, 1e9


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, list[str]]]:
    logger, handler = logging.getLogger("test of progress"), Lines()
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield logger, handler.lines
    logger.removeHandler(handler)


def test_a_line_says_how_far_a_stage_is_and_what_it_shows(log: tuple[logging.Logger, list[str]]) -> None:
    progress = LoggedProgress("teacher", log[0], ALWAYS)
    progress.update(2, 10)
    progress.update(3, 10, loss=0.123456, split="dev")
    progress.update(512, None)
    first, second, third = log[1]
    assert first == "teacher: 2 of 10"
    assert re.fullmatch(r"teacher: 3 of 10, \d+ s left, loss 0.1235, split dev", second)
    assert third == "teacher: 512"


def test_a_resumed_stage_starts_counting_where_it_resumed(log: tuple[logging.Logger, list[str]]) -> None:
    """The time that is left is told by what was done here, not by what an earlier attempt had done."""
    progress = LoggedProgress("teacher", log[0], ALWAYS)
    progress.update(900, 1000)
    assert "left" not in log[1][0]


def test_lines_are_rare_but_a_note_is_told_at_once(log: tuple[logging.Logger, list[str]]) -> None:
    progress = LoggedProgress("corpus", log[0], NEVER)
    for step in range(100):
        progress.update(step, 100)
    progress.note("3 rows were cut, 100% of them")
    assert log[1] == ["corpus: 3 rows were cut, 100% of them"]


def test_whoever_listens_hears_every_stage_and_only_meanwhile(log: tuple[logging.Logger, list[str]]) -> None:
    heard: list[str] = []

    def listener(stage: str) -> Progress:
        heard.append(stage)
        return LoggedProgress(f"heard {stage}", log[0], NEVER)

    def interrupted() -> None:
        with listening(listener):
            progress_for("corpus", log[0]).note("in")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    progress_for("teacher", log[0]).note("out")
    assert heard == ["corpus"]
    assert log[1] == ["heard corpus: in", "teacher: out"]


@given(st.floats(-1e12, 1e12))
def test_a_number_is_shown_short_and_nearly_right(value: float) -> None:
    text = show(value)
    assert len(text) <= 18
    assert float(text.replace(",", "")) == pytest.approx(value, rel=1e-3, abs=0.5)


def test_text_is_shown_as_it_is() -> None:
    assert show("1234.5678") == "1234.5678"
