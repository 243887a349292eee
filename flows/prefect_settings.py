"""Prefect settings that one machine needs, set before Prefect is imported; what the user set wins."""

import os

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
ANSWER_SECONDS = 10.0
UNAUTHORIZED = (401, 403)


def apply() -> None:
    """Put the settings into the environment where they are not set yet, and the server that ``tinybert up`` started."""
    from flows.services.state import surroundings

    for name, value in (SETTINGS | QUIET | surroundings()).items():
        os.environ.setdefault(name, value)


def why_unreachable() -> str | None:
    """Why no Prefect server can be used, in one line; None if one can. Starts the temporary one if none is named."""
    try:
        from httpx import HTTPStatusError
        from prefect.client.orchestration import get_client
        from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

        # A server that swallows what it is sent would otherwise be waited for six times.
        quickly = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})
        with quickly, get_client(sync_client=True, httpx_settings={"timeout": ANSWER_SECONDS}) as client:
            problem = client.api_healthcheck()
            if problem is None:
                client.raise_for_api_version_mismatch()  # anyone may ask for its health, this only who has the password
    except HTTPStatusError as error:
        if error.response.status_code not in UNAUTHORIZED:
            return str(error).splitlines()[0]
        return "it asks for a password: set PREFECT_API_AUTH_STRING, or PREFECT_API_KEY"
    except Exception as error:  # noqa: BLE001 - whatever stops Prefect must not stop the run
        problem = error
    return None if problem is None else str(problem).strip().splitlines()[0] if str(problem) else repr(problem)
