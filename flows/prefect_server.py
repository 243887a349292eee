"""The Prefect server a run reports to: whether it can be used.

Prefect is loaded with this file: its settings have to stand by then (``flows.prefect_settings``).
"""

from httpx import HTTPStatusError
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

ANSWER_SECONDS = 10.0
UNAUTHORIZED = (401, 403)


def problem_of_server() -> Exception | str | None:
    """What keeps the Prefect server from being used; None if nothing does. Starts the temporary one if none is named.

    Raises:
        Exception: anything else that Prefect raises.
    """
    # A server that swallows what it is sent would otherwise be waited for six times.
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
