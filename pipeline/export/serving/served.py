"""The bundle that answers now, and how another takes its place while requests go on."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.export.answers import Answer, answer_all
from pipeline.export.bundle import OpenBundle
from pipeline.export.scorer import Row, Scorer

_log = logging.getLogger(__name__)
WARM_UP = "warm up"


class Served:
    """The scorer that answers, replaced as a whole: a batch that has begun ends with the one it began with.

    Args:
        find: the bundle that the served name stands for now.
        load: opens its model.

    Raises:
        PipelineError: there is none, or it cannot be opened.
    """

    def __init__(self, find: Callable[[], OpenBundle], load: Callable[[OpenBundle], Scorer]) -> None:
        self._find, self._load = find, load
        self._current = self._opened(find())
        self._refused: Path | None = None

    @property
    def bundle(self) -> OpenBundle:
        """The bundle that answers."""
        return self._current[0]

    def answer(self, rows: Sequence[Row]) -> list[Answer]:
        """An answer for each row."""
        return answer_all(self._current[1], rows)

    def reload(self) -> bool | None:
        """Take up the bundle that the name stands for now, if it is another.

        Returns:
            True after a change, False where the other cannot be opened and the old one stays, None without a change.
        """
        place: Path | None = None
        try:
            found = self._find()
            place = found.folder
            if place in (self.bundle.folder, self._refused):
                return None
            if found.facts.pair != self.bundle.facts.pair:
                self._refused = place
                _log.error("%s reads %s: not taken up", place, "pairs" if found.facts.pair else "single texts")
                return False
            self._current = self._opened(found)
        except (PipelineError, OSError) as error:
            if place is not None:
                self._refused = place  # said once, not at every look
                _log.error("%s cannot be taken up, %s goes on answering: %s", place, self.bundle.folder, error)
                return False
            return None  # the name stands for nothing at the moment
        _log.warning("now answering with %s", found.folder)
        return True

    def _opened(self, bundle: OpenBundle) -> tuple[OpenBundle, Scorer]:
        scorer = self._load(bundle)
        answer_all(scorer, [Row(WARM_UP, WARM_UP if bundle.facts.pair else None)])  # the first pass is the slowest
        return bundle, scorer


async def follow(served: Served, seconds: float, told: Callable[[bool], None]) -> None:
    """Look again and again whether the served name stands for another bundle, until cancelled.

    Args:
        served: what answers.
        seconds: between two looks.
        told: is told of each change (True) and of each bundle that could not be taken up (False).
    """
    while True:
        await asyncio.sleep(seconds)
        changed = await asyncio.to_thread(served.reload)
        if changed is not None:
            told(changed)
