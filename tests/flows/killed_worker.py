"""Work on shards that kills the process it runs in, once."""

import os
import signal
from pathlib import Path
from typing import Any


def dies_once(marker: Path, victim: int, work: Any, number: int) -> None:
    """Make a shard of candidates; the first worker that comes to the victim dies of it."""
    from pipeline.engine.candidates import make_shard  # a worker has the real one

    if number == victim:
        try:
            marker.touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    make_shard(work, number)
