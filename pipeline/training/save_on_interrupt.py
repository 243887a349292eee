"""A training that is stopped saves a checkpoint first; one that runs out of memory says what to change."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import TrainingError
from pipeline.memory import memory_errors
from pipeline.training.checkpoint import last_good
from pipeline.training.state import State


@contextmanager
def save_on_interrupt(state: State, checkpoints: Path, *, saves: bool) -> Iterator[None]:
    """Save a checkpoint when the training in this block is stopped, if its state is that of a whole step.

    Ctrl-C, SIGTERM and a cancelled run arrive as exceptions that are no ``Exception``, at any moment. Between two
    updates of the weights the state is that of the last whole step, so it is saved. In the middle of an update it
    is not, so nothing is saved and the next run continues from the checkpoint before.

    Args:
        state: weights, optimizers and histories of the training.
        checkpoints: folder of its checkpoints.
        saves: whether this process writes the checkpoints (the main process does).

    Raises:
        TrainingError: memory ran out; names the step and the last good checkpoint.
    """

    def out_of_memory(reason: str) -> TrainingError:
        return TrainingError(
            f"out of memory at step {state.step} ({reason}); {last_good(checkpoints)}: free some and run again "
            "to go on, or lower max_tokens or batch_size of this stage's training "
            "(gradient_accumulation makes up for it)"
        )

    try:
        with memory_errors(out_of_memory):
            yield
    except BaseException as stop:
        if saves and not isinstance(stop, Exception) and state.step and not state.updating:
            with suppress(Exception):  # the caller must see the stop, not a failed save
                state.rewind()
                state.save(checkpoints)
        raise
