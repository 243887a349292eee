"""A scheduled run outlives the slot that the server has lent it.

Prefect ends a flow whose deployment slot could not be renewed, because the server was away for minutes or the machine
slept, lest two of them run at once. Here locks of the operating system keep runs apart, so a lost slot is no reason to
end a healthy training: the next scheduled run, if it is not cancelled for this one any more, waits for it.
"""

from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from prefect import flow_engine
from prefect.concurrency._leases import maintain_concurrency_lease


def renewed(lease_id: UUID, lease_duration: float, **_: Any) -> AbstractContextManager[None]:
    """Renew a slot for as long as the context lasts; losing it is a warning in the log."""
    return maintain_concurrency_lease(lease_id, lease_duration, raise_on_lease_renewal_failure=False)


def outlive_slots() -> None:
    """Have the flows of this process go on when they lose their slot; Prefect has no setting for it."""
    flow_engine.maintain_concurrency_lease = renewed  # type: ignore[attr-defined, assignment]
