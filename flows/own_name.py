"""The name of the flow run that this process carries out."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from prefect.client.orchestration import get_client
from prefect.runtime import deployment, flow_run

from flows.run_name import differences, run_name


def own_name() -> str:
    """The name of the flow run that begins now; one of a deployment says what its form was changed to."""
    given = flow_run.parameters or {}
    config = given.get("config")
    config = config if isinstance(config, Mapping) else config.model_dump(mode="json") if config else {}
    return run_name(str(config.get("name", "")), datetime.now().astimezone(), _changed_in_the_form(config))


def _changed_in_the_form(config: Mapping[str, Any]) -> list[str]:
    if deployment.id:
        with suppress(Exception), get_client(sync_client=True) as client:  # a name is not worth the run
            return differences(client.read_deployment(deployment.id).parameters.get("config", {}), config)
    return []
