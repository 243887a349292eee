"""A webhook is called when a stage fails: a real server, a real receiver."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from tiny_run import Tiny

from pipeline.errors import ConfigError

pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 120


@pytest.fixture
def receiver() -> Iterator[tuple[str, Queue[dict[str, Any]]]]:
    """An address, and what is posted to it."""
    heard: Queue[dict[str, Any]] = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/key-1234", heard
        server.shutdown()


def test_a_failed_stage_calls_the_webhook(fresh: Tiny, server: str, receiver: tuple[str, Any]) -> None:
    from prefect.client.orchestration import get_client

    from flows.automations import register
    from flows.two_stage import two_stage_flow

    address, heard = receiver
    names = register(address)
    assert register(address) == names  # again is no second one
    with get_client(sync_client=True) as client:
        assert sorted(one.name for one in client.read_automations()) == sorted(names)
    state = two_stage_flow(fresh.config("general_distillation.training.batch_size=512"), return_state=True)
    assert state.is_failed()
    told = heard.get(timeout=PATIENCE_SECONDS)
    assert told["event"] == "tinybert.stage.failed"
    assert told["stage"] == "general_distillation"
    assert "fewer than one batch of 512" in told["reason"]
    assert told["text"] == f"TinyBERT stage {told['stage']} failed: {told['reason']}"
    assert told["flow_run"] == str(state.state_details.flow_run_id)
    assert told["url"] == f"{server.removesuffix('/api')}/runs/flow-run/{told['flow_run']}"


def test_the_command_says_what_it_registered(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    from flows.deploy import automate

    app = typer.Typer()
    app.command()(automate)
    monkeypatch.setenv("PREFECT_API_URL", server)
    monkeypatch.setenv("TINYBERT_WEBHOOK_URL", "http://127.0.0.1:9/key-5678")
    app([], standalone_mode=False)
    out = capsys.readouterr().out
    assert out.splitlines() == ["registered tinybert: run fell silent", "registered tinybert: stage failed"]


@pytest.mark.usefixtures("server")
def test_a_run_that_falls_silent_is_marked() -> None:
    """One heartbeat and nothing after it: what is left of a run whose machine went down."""
    from prefect import flow as prefect_flow
    from prefect.client.orchestration import get_client
    from prefect.events import emit_event
    from prefect.states import Running

    from flows.automations import FLOWS, silent_runs

    @prefect_flow(name=FLOWS[0])
    def two_stage() -> None: ...

    with get_client(sync_client=True) as client:
        automation = client.create_automation(silent_runs(timedelta(seconds=10)))
        run = client.create_flow_run(two_stage, state=Running())
        emit_event(
            "prefect.flow-run.heartbeat",
            resource={"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name},
            related=[
                {
                    "prefect.resource.id": f"prefect.flow.{run.flow_id}",
                    "prefect.resource.role": "flow",
                    "prefect.resource.name": FLOWS[0],
                }
            ],
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (state := client.read_flow_run(run.id).state) is None or state.is_running():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        client.delete_automation(automation)
    assert state.is_crashed()
    assert state.message == "nothing was heard of it for 10 s; the next run goes on from its last checkpoint"


@pytest.mark.parametrize("address", ["hooks.example.com/x", "ftp://hooks.example.com/x", "https://", ""])
def test_an_address_that_cannot_be_called_is_refused_and_not_repeated(address: str) -> None:
    from flows.automations import register

    with pytest.raises(ConfigError, match="https://HOST/PATH") as told:
        register(address)
    assert "hooks.example.com" not in str(told.value)
