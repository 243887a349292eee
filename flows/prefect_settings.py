"""Prefect settings that one machine needs, set before Prefect is imported; what the user set wins."""

import os

from flows.services.state import surroundings

SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # A fresh home on slow cores takes longer than the 20 seconds Prefect allows.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # What a server says while its database restarts; a run that has finished must not fail for it.
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
    # How a run that was killed together with its worker is noticed.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
}
# The terminal shows progress of its own; the server still gets every line.
QUIET = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL", "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL"}
SERVER_SETTINGS = {
    # In memory, where it is by default, a restart forgets who runs, and healthy runs are ended for it.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_WORKER_QUERY_SECONDS": "5",
}


def apply() -> None:
    """Set the settings in the environment unless they are set, and the address of ``tinybert up``'s server."""
    for name, value in (SETTINGS | QUIET | surroundings()).items():
        os.environ.setdefault(name, value)


def why_unreachable() -> str | None:
    """Return in one line why no Prefect server can be used, else None; start the temporary one if none is named."""
    try:
        from flows.prefect_server import problem_of_server  # it loads Prefect, once these settings stand

        problem = problem_of_server()
    except Exception as error:  # noqa: BLE001 - whatever stops Prefect must not stop the run
        problem = error
    return None if problem is None else str(problem).strip().splitlines()[0] if str(problem) else repr(problem)
