"""The temporary server of a run without ``tinybert up``, which ends with its run.

Prefect starts it in the run's process group, where a terminal's Ctrl-C ends it before the run has sent its last state,
and leaves it running when the run is killed. Here it has its own session, so that Ctrl-C does not reach it, and watches
the run: when that ends, however it ends, the server does too.

    python -P temporary_server.py RUN_PID PORT
"""

import os
import signal
import sys
import threading
import time
from contextlib import suppress

import psutil
import uvicorn

# Time for the server to write what it has received.
LAST_SECONDS = 3.0
POLL_SECONDS = 0.2


def main(run: int, port: int) -> None:
    """Serve until the run ends."""
    threading.Thread(target=_end_with, args=(run,), daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="error",
        lifespan="on",
    )


def _end_with(run: int) -> None:
    """Wait for the end of the process that started this one, and end in good order, or else at once."""
    if os.name == "posix":
        # Whoever started the run may never ask for its exit code; then its number stays taken, but it is no parent.
        while os.getppid() == run:
            time.sleep(POLL_SECONDS)
    else:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(run).wait()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
