import io
import logging
import os
import re
import time

import pytest
from rich.console import Console
from tiny_run import STAGES

from flows import prefect_settings
from flows.terminal import watching
from tasks.progress import progress_for


def bare(line: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", line)


def spoken(console: Console, *, quiet: bool = False) -> None:
    with watching(console, quiet=quiet):
        progress = progress_for("teacher", logging.getLogger("nobody"))
        progress.update(3, 10, loss=0.25, tokens_per_second=12345.0)
        progress.note("3 rows [of 9] were cut")


def test_a_terminal_shows_a_bar_for_a_stage_and_its_notes() -> None:
    screen = io.StringIO()
    spoken(Console(file=screen, force_terminal=True, width=140))
    shown = screen.getvalue()
    assert "teacher: 3 rows [of 9] were cut" in shown
    assert "loss 0.25" in shown
    assert "tokens per second 12,345" in shown


def test_the_running_stage_is_one_line_that_fits_80_columns() -> None:
    """With the longest name of a stage and more figures than fit: the bar, the share, the time and the loss do."""
    screen = io.StringIO()
    with watching(Console(file=screen, force_terminal=True, width=80), quiet=False, stages=STAGES):
        progress_for("corpus", logging.getLogger("nobody"))
        training = progress_for("general_distillation", logging.getLogger("nobody"))
        figures = {"attention": 0.1234, "hidden": 0.1234, "embedding": 0.1234, "tokens_per_second": 12345.0}
        for done in range(3):
            training.update(done, 1000, loss=0.1234, **figures)
        while "loss" not in screen.getvalue():  # the screen is drawn ten times a second
            time.sleep(0.05)
    lines = [bare(line).rstrip() for line in screen.getvalue().splitlines()]
    (place,) = {
        line
        for line in lines
        if "loss" in line and "general" in line[:30] and "left" in line and line.endswith("0.1234")
    }
    assert re.fullmatch(r"2 of 12 general distillation \S{12}   0% .+ left  loss 0\.1234", place)
    assert all(len(line) <= 80 for line in lines)
    assert any(re.match(r".+ in all  attention 0\.1234  hidden 0\.1234", line) for line in lines)


def test_a_stage_ends_where_the_next_one_begins() -> None:
    screen = io.StringIO()
    with watching(Console(file=screen, force_terminal=True, width=80), quiet=False, stages=STAGES):
        progress_for("corpus", logging.getLogger("nobody"))
        progress_for("teacher", logging.getLogger("nobody")).note("teacher/v0001 in 3 s")
    last = [bare(line) for line in screen.getvalue().splitlines() if "corpus" in line or "of 12" in line][-1]
    assert last.startswith("4 of 12 teacher")


def test_without_a_terminal_there_are_plain_lines_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    spoken(Console(file=screen))
    assert screen.getvalue() == ""
    assert "3 rows [of 9] were cut" in capfd.readouterr().err


def test_quiet_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    spoken(Console(file=screen, force_terminal=True), quiet=True)
    assert (screen.getvalue(), *capfd.readouterr()) == ("", "", "")


def test_prefect_settings_of_the_user_win(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = prefect_settings.SETTINGS | prefect_settings.QUIET
    for name in settings:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    before = dict(os.environ)
    prefect_settings.apply()
    assert os.environ["DO_NOT_TRACK"] == "0"
    assert os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] == "120"
    assert set(os.environ) - set(before) == set(settings) - {"DO_NOT_TRACK"}
    for name in set(os.environ) - set(before):
        monkeypatch.setenv(name, os.environ[name])  # so that it is undone
        monkeypatch.delenv(name)
