"""What people see in the Prefect UI of runs that ended well, ran again, and failed: a real browser, a real server.

The pictures are left in the test's folder: look at them after a change.
"""

import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from browser import CHROMIUM, Page, browser
from flow_runs import PATIENCE_SECONDS, flow, tinybert, wait_for_checkpoint
from tiny_run import Tiny, tiny

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]
REPORTS = "http://127.0.0.1:4201"
REASON = "fewer than one batch of 512: give more text"
SCROLL = "[...document.querySelectorAll('*')].forEach(e => e.scrollTo(0, 1e6))"


@dataclass(frozen=True)
class Seen:
    """Three runs of one configuration, and a browser to look at them."""

    run: Tiny
    page: Page
    ui: str
    pictures: Path
    first: UUID
    again: UUID
    failed: UUID

    @property
    def stages(self) -> list[str]:
        return [stage.name for stage in self.run.stages()]

    def tab(self, flow_run: UUID, name: str, picture: str, *words: str) -> str:
        """The text of one tab of a flow run's page."""
        self.page.open(f"{self.ui}/runs/flow-run/{flow_run}", name)
        self.page.click(name)
        self.page.run(SCROLL)  # some of it is loaded when it comes into view
        return self._taken(picture, *words)

    def artifacts(self, flow_run: UUID, key: str) -> list[UUID]:
        """Those of a flow run with that key."""
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey

        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]), flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run]))
        with get_client(sync_client=True) as client:
            return [found.id for found in client.read_artifacts(artifact_filter=wanted)]

    def artifact(self, flow_run: UUID, key: str, *words: str) -> str:
        """The text of an artifact's page."""
        (found,) = self.artifacts(flow_run, key)
        self.page.open(f"{self.ui}/artifacts/artifact/{found}", key)
        return self._taken(key, *words)

    def _taken(self, picture: str, *words: str) -> str:
        text = self.page.wait(*words)
        self.page.photograph(self.pictures / f"{picture}.png")
        return text


@pytest.fixture(scope="module")
def seen(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    from flows.two_stage import two_stage_flow
    from tasks import live

    folder = tmp_path_factory.mktemp("ui")
    run = tiny(folder / "run")
    with pytest.MonkeyPatch.context() as here:
        here.chdir(run.folder)
        here.setenv("TINYBERT_REPORTS_URL", REPORTS)
        here.setattr(live, "SECONDS_BETWEEN_UPDATES", 0.1)  # the stages of a tiny run are over in less than five
        runs = [
            two_stage_flow(run.config(*overrides), return_state=True).state_details.flow_run_id
            for overrides in ((), (), ("general_distillation.training.batch_size=512",))
        ]
        with browser(folder) as page:
            yield Seen(run, page, server.removesuffix("/api"), folder, *runs)


def test_a_finished_run_says_what_came_of_it(seen: Seen) -> None:
    summary = seen.run.artifact("report").metrics["summary"]
    seen.tab(seen.first, "Details", "finished", "Completed", summary[:40])


def test_its_stages_are_named_and_completed(seen: Seen) -> None:
    text = seen.tab(seen.first, "Task Runs", "stages", f"({len(seen.stages)} Completed)", *seen.stages)
    assert "Reused" not in text


def test_run_again_they_are_reused(seen: Seen) -> None:
    text = seen.tab(seen.again, "Task Runs", "reused", "Reused", *seen.stages)
    assert text.count("Reused") == len(seen.stages)


def test_a_failed_run_says_why(seen: Seen) -> None:
    seen.tab(seen.failed, "Details", "failed", "Failed", REASON[:60])
    seen.tab(seen.failed, "Task Runs", "failed-stages", "general_distillation", "Failed", "Reused")


def test_and_so_does_its_stage(seen: Seen) -> None:
    seen.tab(seen.failed, "Artifacts", "failed-artifacts", "general-distillation-failure", REASON)
    seen.artifact(
        seen.failed, "general-distillation-failure", "general distillation failed", REASON, "What is finished"
    )


def test_the_run_has_one_table_of_results(seen: Seen) -> None:
    text = seen.artifact(
        seen.first,
        "run-results",
        "Results on 24 dev rows, which chose the checkpoints too",
        "accuracy",
        "of the teacher",
    )
    results = json.loads((seen.run.path("evaluation") / "results.json").read_text())["results"]
    rows = seen.page.run(
        "[...document.querySelectorAll('tr')].map(r => [...r.querySelectorAll('td')].map(c => c.innerText.trim()))"
    )
    shown = {row[0]: row for row in rows if row}
    assert list(shown) == [one["name"] for one in results], text
    for one in results:
        assert shown[one["name"]][1:3] == [one["role"], f"{one['metrics']['accuracy']:.3f}"]


def test_a_stage_has_its_figures(seen: Seen) -> None:
    seen.artifact(seen.first, "prediction-metrics", "distilled: loss", "dev score: distilled", "tokens per second")


def test_a_stage_that_trained_shows_its_loss_curves(seen: Seen) -> None:
    seen.artifact(seen.first, "prediction-loss", "distilled", "random-start")
    widths = seen.page.run("[...document.querySelectorAll('img')].map(picture => picture.naturalWidth)")
    assert len(widths) == 2
    assert min(widths) > 100  # a picture that cannot be read has no width


def test_a_stage_leads_to_its_artifact_and_report(seen: Seen) -> None:
    report = seen.run.artifact("report")
    seen.artifact(seen.first, "report-artifact", "Completed", "report.html", "Made from")
    there = seen.page.run("[...document.querySelectorAll('a')].map(link => link.href)")
    assert {f"{REPORTS}/{report.ref}/", f"{REPORTS}/{report.ref}/report.html"} <= set(there)


def test_a_stage_that_is_over_has_shown_its_progress(seen: Seen) -> None:
    text = seen.artifact(seen.first, "general-distillation-progress", "Progress: 100%", "loss", "tokens per second")
    assert re.search(r"\b(\d+) of \1\b", text)


def test_a_running_stage_shows_how_far_it_is_and_says_when_it_was_resumed(
    seen: Seen, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, stage = tiny(tmp_path), "general_distillation"
    monkeypatch.chdir(tmp_path)
    long = f"{stage}.training.epochs=600"
    command = tinybert(run, server, "run", "tiny.yaml", long, "--until", stage, "--quiet")
    wait_for_checkpoint(run, command)
    (lock,) = (tmp_path / "artifacts" / ".runs").glob("*.lock")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not seen.artifacts(UUID(lock.stem), "general-distillation-progress"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    seen.tab(UUID(lock.stem), "Task Runs", "running", "corpus", "Completed", stage, "Running")
    text = seen.artifact(UUID(lock.stem), "general-distillation-progress", "left", "loss", "hidden", "attention")
    assert "100%" not in text
    assert command.poll() is None
    command.send_signal(signal.SIGTERM)
    command.communicate(timeout=PATIENCE_SECONDS)
    again = flow(run, long, until=stage).state_details.flow_run_id
    seen.tab(again, "Task Runs", "resumed", "Reused", stage, "Resumed")
