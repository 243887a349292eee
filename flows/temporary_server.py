"""The server that a run without ``tinybert up`` starts for itself: a session of its own, and never older than its run.

Prefect starts it in the run's process group, where a terminal's Ctrl-C reaches it before the run has told it anything,
and leaves it running when the run is killed. Here it is started in a session of its own, does not hear the terminal,
and watches the run: when that ends, however it ends, the server does too.

    python -P temporary_server.py RUN_PID PORT
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

# What the server gets to write down what it has heard.
LAST_SECONDS = 3.0


def start_apart() -> None:
    """Have Prefect start its temporary server in this way; it has no setting for it."""
    from prefect.server.api.server import SubprocessASGIServer

    SubprocessASGIServer._run_uvicorn_command = _start  # type: ignore[assignment, method-assign] # noqa: SLF001


def _start(server: Any) -> "subprocess.Popen[Any]":
    """Start the server's process, which ends with this one."""
    from prefect.settings import get_current_settings

    only_an_api = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    return subprocess.Popen(  # noqa: S603 - our own command
        # -P: what lies in the folder where the user stands must not be taken for a library.
        [sys.executable, "-P", str(Path(__file__).resolve()), str(os.getpid()), str(server.port)],
        env={**os.environ, **only_an_api, **settings},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def main(run: int, port: int) -> None:
    """Serve until the run ends."""
    threading.Thread(target=_end_with, args=(run,), daemon=True).start()
    import uvicorn

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
    import psutil

    with suppress(psutil.NoSuchProcess):
        if os.getppid() == run:
            psutil.Process(run).wait()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
