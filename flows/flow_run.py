"""A flow run of ours: its name, and that it outlives the slot that the server has lent it.

Prefect ends a flow whose deployment slot could not be renewed, because the server was away for minutes or the machine
slept, lest two of them run at once. Here locks of the operating system keep runs apart, so a lost slot is no reason to
end a healthy training: the next scheduled run, if it is not cancelled for this one any more, waits for it.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect import flow_engine
from prefect.client.orchestration import get_client
from prefect.concurrency._leases import maintain_concurrency_lease
from prefect.runtime import deployment, flow_run

from flows.run_name import differences, run_name


def renewed(lease_id: UUID, lease_duration: float, **_: Any) -> AbstractContextManager[None]:
    """Renew a slot for as long as the context lasts; losing it is a warning in the log."""
    return maintain_concurrency_lease(lease_id, lease_duration, raise_on_lease_renewal_failure=False)


def outlive_slots() -> None:
    """Have the flows of this process go on when they lose their slot; Prefect has no setting for it."""
    flow_engine.maintain_concurrency_lease = renewed  # type: ignore[attr-defined, assignment]


def own_name() -> str:
    """Return the name of the flow run that begins now; that of a deployment includes the changes of its form."""
    config = (flow_run.parameters or {}).get("config")
    config = config if isinstance(config, Mapping) else config.model_dump(mode="json") if config else {}
    return run_name(str(config.get("name", "")), datetime.now().astimezone(), _changed_in_the_form(config))


def _changed_in_the_form(config: Mapping[str, Any]) -> list[str]:
    if deployment.id:
        with suppress(Exception), get_client(sync_client=True) as client:  # a name is not worth the run
            return differences(client.read_deployment(deployment.id).parameters.get("config", {}), config)
    return []
