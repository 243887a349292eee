"""One start or stop at a time: they write the same file."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from flows.services.state import ServicesError
from pipeline.config.user_dir import user_dir
from pipeline.store.locks import hold


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other start or stop of this user is under way, and keep others waiting.

    Raises:
        ServicesError: the project's own folder cannot be written.
    """
    with ExitStack() as held:
        try:
            held.enter_context(hold(user_dir() / "services.lock"))
        except OSError as error:
            raise ServicesError(
                f"cannot write {user_dir()}: {error.strerror}; set TINYBERT_HOME to a folder that can"
            ) from error
        yield
