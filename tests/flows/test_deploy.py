"""What would be registered, and what is refused, before any server is asked."""

import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_run import Tiny

from flows.cli import main
from pipeline.config.load import load_config
from pipeline.config.run import RunConfig

ROOT = Path(__file__).parents[2]
Tinybert = Callable[..., tuple[int, str]]
NIGHTLY = ("--cron", "0 2 * * *")


@pytest.fixture
def tinybert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tinybert:
    """Exit code and the one line that a command says it with; there is no server."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setenv("TINYBERT_HOME", str(tmp_path / "home"))

    def ask(*arguments: str, server: str | None = None) -> tuple[int, str]:
        with temporary_settings({PREFECT_API_URL: server}), pytest.raises(SystemExit) as left:
            main(list(arguments))
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        return int(left.value.code or 0), said.err

    return ask


def wanted(run: Tiny, *, when_data_changes: bool = False) -> Any:
    from flows.deployment import deployment, schedule

    when = schedule("0 2 * * *", "Europe/Berlin", None)
    return deployment(run.config(), None, "mine", "pool", when, ["topics"], when_data_changes=when_data_changes)


def test_the_configuration_is_the_form(run: Tiny) -> None:
    found = wanted(run)
    form = found._parameter_openapi_schema.definitions
    assert form["Runtime"]["properties"]["device"]["enum"] == ["auto", "cpu", "cuda"]
    assert form["Runtime"]["properties"]["checkpoint_seconds"]["title"] == "Checkpoint interval (s)"
    assert form["TrainingConfig"]["properties"]["learning_rate"]["title"] == "Peak learning rate"
    assert form["CorpusConfig"]["properties"]["max_length"]["title"] == "Sequence length (word pieces)"
    assert RunConfig.model_validate(found.parameters["config"]) == run.config()


def test_a_deployment_has_a_schedule_a_limit_and_tags(run: Tiny) -> None:
    found = wanted(run)
    assert found.full_name == "two-stage-tinybert/mine"
    assert (found.schedules[0].schedule.cron, found.schedules[0].schedule.timezone) == ("0 2 * * *", "Europe/Berlin")
    assert found.concurrency_limit == 1
    assert found.concurrency_options.collision_strategy == "CANCEL_NEW"
    assert found.tags == ["tinybert", "topics"]
    assert found.work_pool_name == "pool"
    assert found.entrypoint == "flows.two_stage.two_stage_flow"
    assert wanted(run, when_data_changes=True).entrypoint == "flows.new_data.new_data_flow"


def test_schedules() -> None:
    from flows.deployment import schedule

    assert schedule(None, "UTC", None) is None
    found = schedule(None, "UTC", 10)
    assert found is not None
    assert found.interval == timedelta(minutes=10)  # type: ignore[union-attr]


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--cron", "0 2 * *"), 2, "--cron '0 2 * *' does not parse: write minute, hour, day, month and weekday"),
        (("--cron", "every night"), 2, "--cron 'every night' does not parse"),
        ((*NIGHTLY, "--timezone", "Moon/Sea"), 2, "--timezone 'Moon/Sea' is no time zone: write one like"),
        ((*NIGHTLY, "--every-minutes", "5"), 2, "--cron and --every-minutes are two schedules: give one of them"),
        (("--every-minutes", "0"), 2, "--every-minutes is 0: give a number above 0"),
        (("--name", "a/b"), 2, "a deployment cannot be called 'a/b': choose a name without"),
        (("--until", "nothing"), 2, "this run has no stage 'nothing'"),
        (("seed=many",), 2, "seed"),
        (NIGHTLY, 1, "there is no Prefect server: start one with tinybert up, or set PREFECT_API_URL"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else None,
)
def test_what_cannot_be_deployed_is_one_line(
    tinybert: Tinybert, arguments: tuple[str, ...], code: int, line: str
) -> None:
    found, said = tinybert("deploy", "tiny.yaml", *arguments)
    assert (found, line in said) == (code, True), said


@pytest.mark.usefixtures("run")
def test_a_server_that_does_not_answer_is_one_line(tinybert: Tinybert) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"http://127.0.0.1:{probe.getsockname()[1]}/api"
        code, said = tinybert("deploy", "tiny.yaml", *NIGHTLY, server=address)
    assert code == 1
    assert f"the Prefect server at {address} cannot be reached" in said
    assert "tinybert up" in said


def test_prefect_yaml_holds_the_demonstration() -> None:
    from importlib import import_module

    document = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    assert len(document["deployments"]) == 2
    for one in document["deployments"]:
        assert RunConfig.model_validate(one["parameters"]["config"]) == load_config(None, [], "demo")
        path, name = one["entrypoint"].split(":")
        assert (ROOT / path).is_file()
        assert hasattr(import_module(path.removesuffix(".py").replace("/", ".")), name)


def test_a_lost_slot_is_a_warning_in_every_flow_of_ours() -> None:
    from prefect import flow_engine

    import flows.two_stage  # noqa: F401 - what a worker loads
    from flows.flow_run import renewed

    assert flow_engine.maintain_concurrency_lease is renewed
