"""Automations of Prefect's server: call a webhook when a stage fails, mark silent runs as crashed.

An automation runs on the server, so it also works for a run whose machine is gone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events import AutomationCore, EventTrigger, Posture
from prefect.events.actions import CallWebhook, ChangeFlowRunState
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL
from prefect.types import SecretDict
from pydantic import SecretStr

from flows.services.state import ServicesError
from pipeline.errors import ConfigError
from tasks.publish import STAGE_FAILED

FLOWS = ["two-stage-tinybert", "when-data-changes"]
WEBHOOK = "tinybert-failures"
# Three times and more what passes between two heartbeats, and longer than a server takes to start again.
SILENCE = timedelta(seconds=300)
# "text" is what chat services show; the rest is for programs.
PAYLOAD = """{
  "text": {{ ("TinyBERT stage " ~ event.payload.stage ~ " failed: " ~ event.payload.reason) | tojson }},
  "event": {{ event.event | tojson }},
  "stage": {{ event.payload.stage | tojson }},
  "reason": {{ event.payload.reason | tojson }},
  "flow_run": {{ event.payload.flow_run | tojson }},
  "url": {{ event.payload.url | tojson }}
}"""


def failure_webhook(block: UUID) -> AutomationCore:
    """Build the automation that calls the webhook of a block whenever a stage has finally failed."""
    return AutomationCore(
        name="tinybert: stage failed",
        description="Calls a webhook with the stage and the reason.",
        trigger=EventTrigger(expect={STAGE_FAILED}, posture=Posture.Reactive, threshold=1),
        actions=[CallWebhook(block_document_id=block, payload=PAYLOAD)],
    )


def silent_runs(silence: timedelta = SILENCE) -> AutomationCore:
    """Build the automation that marks a run as crashed if it sent no heartbeat for ``silence``; it does not stop it."""
    return AutomationCore(
        name="tinybert: run fell silent",
        description="Marks a run as crashed when its heartbeats stop; the next run goes on from its last checkpoint.",
        trigger=EventTrigger(
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": FLOWS},
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=silence,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"nothing was heard of it for {silence.total_seconds():.0f} s; "
                "the next run goes on from its last checkpoint",
            )
        ],
    )


def register(webhook_url: str | None) -> list[str]:
    """Register the automations on the server, replacing earlier ones of the same names.

    Args:
        webhook_url: URL to call when a stage fails, kept on the server as a secret; None registers no webhook.

    Returns:
        Names of the registered automations.

    Raises:
        ConfigError: the URL is not valid.
        ServicesError: no server is running.
    """
    if webhook_url is not None:
        _check(webhook_url)
    with _client() as client:
        automations = [silent_runs()]
        if webhook_url is not None:
            headers = SecretDict({"Content-Type": "application/json"})
            block = Webhook(url=SecretStr(webhook_url), headers=headers).save(WEBHOOK, overwrite=True)
            automations.append(failure_webhook(UUID(str(block))))
        for automation in automations:
            existing = client.read_automations_by_name(automation.name)
            if existing:
                client.update_automation(existing[0].id, automation)
            else:
                client.create_automation(automation)
    return [automation.name for automation in automations]


@contextmanager
def _client() -> Iterator[SyncPrefectClient]:
    address = PREFECT_API_URL.value()
    if address is None:
        raise ServicesError("no server is up to keep automations: tinybert up, or set PREFECT_API_URL")
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        raise ServicesError(f"the server at {address} does not do it ({error}): tinybert status") from error


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        # the address may hold a key, so it is not repeated
        raise ConfigError("the webhook is no http or https address: give it as https://HOST/PATH")
