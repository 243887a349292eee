"""Start the temporary server of a run in its own session, with a log beside those of ``tinybert up``.

This file imports Prefect's server, so Prefect's settings have to be set before (``flows.prefect_settings``).
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import get_current_settings

from pipeline.config.user_dir import user_dir

SCRIPT = Path(__file__).resolve().with_name("temporary_server.py")


def start_apart() -> None:
    """Have Prefect start its temporary server in this way; it has no setting for it."""
    SubprocessASGIServer._run_uvicorn_command = _start  # type: ignore[assignment, method-assign] # noqa: SLF001


def _start(server: Any) -> subprocess.Popen[Any]:
    """Start the server's process, which ends with this one."""
    only_an_api = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    with _log() as log:  # not the terminal: it would be held open for as long as the server takes to end
        return subprocess.Popen(  # noqa: S603 - our own command
            # -P: a file in the user's working directory must not be imported as a library.
            [sys.executable, "-P", str(SCRIPT), str(os.getpid()), str(server.port)],
            env={**os.environ, **only_an_api, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _log() -> IO[bytes]:
    """Open the server's log, beside the logs of ``tinybert up``; the null device if it cannot be written."""
    path = user_dir() / "logs" / "temporary-server.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")
    except OSError:
        return Path(os.devnull).open("wb")
