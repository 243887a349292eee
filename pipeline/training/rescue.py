"""A training that ends early leaves the most it can: a checkpoint if it was told to stop, a line on what to mend."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import TrainingError
from pipeline.memory import memory_errors
from pipeline.training.checkpoint import last_good
from pipeline.training.state import State


@contextmanager
def rescued(state: State, checkpoints: Path, *, saves: bool) -> Iterator[None]:
    """Run a training; what stops it costs no step that was finished, where that can be helped.

    Ctrl-C, SIGTERM and a cancelled run come as exceptions that are no ``Exception``, at any moment. Between two
    updates of the weights the state is that of the last whole step, so it is written down; in the midst of an
    update it is not, and the checkpoint before it serves.

    Args:
        state: of the training.
        checkpoints: where its checkpoints are.
        saves: whether this process is the one that writes them.

    Raises:
        TrainingError: memory ran out; names the step and the last good checkpoint.
    """

    def mended(said: str) -> TrainingError:
        return TrainingError(
            f"out of memory at step {state.step} ({said}); {last_good(checkpoints)}: free some and run again to go on, "
            "or lower max_tokens or batch_size of this stage's training (gradient_accumulation makes up for it)"
        )

    try:
        with memory_errors(mended):
            yield
    except BaseException as stop:
        if saves and not isinstance(stop, Exception) and state.step and not state.updating:
            with suppress(Exception):  # the stop is what has to be heard
                state.rewind()
                state.save(checkpoints)
        raise
