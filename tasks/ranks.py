"""A run on several processes: the first one runs it as if it were alone, the others join it in every training.

The leader uses the store, Prefect and the terminal, and sends a message before each stage that trains. A follower runs
that stage's function with the same settings and inputs in a temporary folder; the processes meet in the training and
split the batches. Decisions such as the precision are the leader's, even if a follower runs on another kind of machine.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from platform import node
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.config.run import RunConfig
from pipeline.config.runtime import Runtime
from pipeline.errors import DataError, PipelineError
from pipeline.progress import Silent
from pipeline.stages.graph import two_stage
from pipeline.store.stage import Stage, StageRun, by_name
from pipeline.training.team import LeaderLeftError, Team, join, team

DEFECT, INTERRUPTED, TERMINATED = 70, 130, 143
# How long the leader has for its last line: the launcher ends everybody as soon as one has failed.
LAST_WORDS_SECONDS = 5.0
# How long the leader waits to be ended itself: a process that died breaks its collectives, which is no defect.
ENDED_SECONDS = 2.0
# How long a follower that failed waits to hear that the leader failed as well, and speaks for both.
SAME_MISTAKE_SECONDS = 10.0


@contextmanager
def leading() -> Iterator[None]:
    """Lead the followers, if there are any: they end when this block ends, and fail when it fails."""
    own = join()
    try:
        yield
    except BaseException as error:
        own.fail(_exit_code(error))
        if own.size > 1 and _exit_code(error) == DEFECT:
            time.sleep(ENDED_SECONDS)
        raise
    own.tell(None)
    own.part()


def begin(config: RunConfig, until: str | None) -> None:
    """Send the followers the run's configuration, last stage and folder; they read no configuration themselves."""
    team().tell({"config": config.model_dump(mode="json"), "until": until, "folder": str(Path.cwd())})


def announcer(stage: Stage[Any]) -> Callable[[StageRun], None] | None:
    """Return the function that calls the followers to a stage about to run; None if they are not needed."""
    own = team()
    if own.size == 1 or not stage.parallel:
        return None
    return lambda run: own.tell({"stage": stage.name, "settings": stage.settings, "inputs": _spelt(run.inputs)})


def follow(own: Team) -> int:
    """Take part in the leader's run until it ends, without output; return the exit code.

    Raises:
        PipelineError: an error that occurs only on this process; names the process.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # an orderly exit clears the folder away
    try:
        _take_part(own)
    except LeaderLeftError as left:
        time.sleep(LAST_WORDS_SECONDS)
        return left.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        code = _leader_failed(own)
        if code is not None:
            time.sleep(LAST_WORDS_SECONDS)
            return code
        if isinstance(error, PipelineError):
            alone = PipelineError(f"process {own.rank} on {node()}: {error}")
            alone.exit_code = error.exit_code
            raise alone from error
        raise
    return 0


def _take_part(own: Team) -> None:
    request = own.hear()
    if request is not None:
        _enter(request["folder"])
        config = RunConfig.model_validate(request["config"])
        stages = by_name(two_stage(config, request["until"]))
        while (word := own.hear()) is not None:
            _train_along(stages[word["stage"]], word["settings"], word["inputs"], config.runtime)
    own.part()


def _enter(folder: str) -> None:
    """Change to the leader's working directory, where relative paths start."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise DataError(
            f"cannot enter {folder} ({error.strerror}), where the run was started: "
            "let every machine see it under the same path"
        ) from error


def _train_along(
    stage: Stage[Any], settings: Mapping[str, Any], inputs: Mapping[str, str | list[str]], runtime: Runtime
) -> None:
    """Run a stage's function with the leader's settings, to take part in its training; its output is discarded."""
    with TemporaryDirectory(prefix=f"tinybert-{stage.name}-", ignore_cleanup_errors=True) as private:
        output, scratch = Path(private) / "output", Path(private) / "scratch"
        output.mkdir()
        scratch.mkdir()
        folders = {
            role: Path(given) if isinstance(given, str) else tuple(map(Path, given)) for role, given in inputs.items()
        }
        stage.run(type(stage.config).model_validate(settings), StageRun(folders, output, scratch, runtime, Silent()))


def _spelt(inputs: Mapping[str, Path | tuple[Path, ...]]) -> dict[str, str | list[str]]:
    """Return a stage's inputs as JSON values, for a message."""
    return {
        role: str(given) if isinstance(given, Path) else [str(path) for path in given] for role, given in inputs.items()
    }


def _leader_failed(own: Team) -> int | None:
    """Return the leader's exit code if it failed: a collective operation breaks when any process ends."""
    try:
        return own.failure(within=SAME_MISTAKE_SECONDS)
    except RuntimeError:  # not even its store is there any more
        return DEFECT


def _exit_code(error: BaseException) -> int:
    if isinstance(error, PipelineError):
        return error.exit_code
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else DEFECT
