"""Check whether the Prefect server of a run can be used.

This file imports Prefect, so Prefect's settings have to be set before (``flows.prefect_settings``).
"""

from httpx import HTTPStatusError
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

ANSWER_SECONDS = 10.0
UNAUTHORIZED = (401, 403)


def problem_of_server() -> Exception | str | None:
    """Return why the Prefect server cannot be used; None if it can. Starts the temporary one if none is named.

    Raises:
        Exception: anything else that Prefect raises.
    """
    # Otherwise a server that never answers would be waited for six times.
    quickly = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})
    try:
        with quickly, get_client(sync_client=True, httpx_settings={"timeout": ANSWER_SECONDS}) as client:
            problem = client.api_healthcheck()
            if problem is None:
                client.raise_for_api_version_mismatch()  # anyone may ask for its health, this only who has the password
    except HTTPStatusError as error:
        if error.response.status_code not in UNAUTHORIZED:
            return str(error).splitlines()[0]
        return "it asks for a password: set PREFECT_API_AUTH_STRING, or PREFECT_API_KEY"
    return problem
