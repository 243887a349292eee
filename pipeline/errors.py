"""What a user did, said in one line: what is wrong, with the value, and how to mend it.

Everything a user can mend is a ``PipelineError``; the command line prints it as one line without a
traceback and leaves with its ``exit_code``. Anything else that escapes is a defect of ours.
"""

from collections.abc import Sequence


class PipelineError(Exception):
    """A mistake in what was asked or given; the message names the value and the way out."""

    exit_code = 1


class MistakesError(PipelineError):
    """Several mistakes that were found together; shown a line each, it leaves with the exit code of the first."""

    def __init__(self, mistakes: Sequence[PipelineError]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)
        self.exit_code = mistakes[0].exit_code


class ConfigError(PipelineError):
    """The configuration cannot be understood: unknown key, wrong type, contradiction."""

    exit_code = 2


class DataError(PipelineError):
    """A corpus, a task table or a vectors file cannot be used as it is."""

    exit_code = 3


class ModelError(PipelineError):
    """A teacher, tokenizer or student cannot be loaded or does not fit its partner."""

    exit_code = 4


class StoreError(PipelineError):
    """The artifact store cannot be read or written, or an artifact in it is damaged."""

    exit_code = 5


class TrainingError(PipelineError):
    """Training cannot go on: the loss is not finite, or a result could not be reproduced."""

    exit_code = 6
