"""A deployment is the flow with one configuration, registered with a server: a form in its UI, and a schedule."""

from datetime import timedelta
from inspect import cleandoc
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from flows.new_data import new_data_flow
from flows.prefect_settings import why_unreachable
from flows.services.state import ServicesError
from flows.two_stage import two_stage_flow
from pipeline.config.run import RunConfig
from pipeline.errors import ConfigError

Schedule = CronSchedule | IntervalSchedule
TAG = "tinybert"
FORBIDDEN = "/%&<>"


def schedule(cron: str | None, timezone: str, every_minutes: float | None) -> Schedule | None:
    """Build the schedule of a deployment; None without one.

    Args:
        cron: cron expression; None without.
        timezone: time zone of the cron expression.
        every_minutes: interval in minutes; None without.

    Raises:
        ConfigError: the cron expression or the time zone is not valid, or both kinds of schedule are given.
    """
    if cron is not None and every_minutes is not None:
        raise ConfigError("--cron and --every-minutes are two schedules: give one of them")
    if every_minutes is not None:
        if every_minutes <= 0:
            raise ConfigError(f"--every-minutes is {every_minutes:g}: give a number above 0")
        return IntervalSchedule(interval=timedelta(minutes=every_minutes), timezone=_zone(timezone))
    if cron is None:
        return None
    try:
        return CronSchedule(cron=cron, timezone=_zone(timezone))
    except ValidationError as error:
        raise ConfigError(
            f"--cron {cron!r} does not parse: write minute, hour, day, month and weekday, "
            "such as '0 2 * * *' for two o'clock every night"
        ) from error


def deployment(
    config: RunConfig,
    until: str | None,
    name: str,
    pool: str,
    when: Schedule | None,
    tags: list[str],
    *,
    when_data_changes: bool,
) -> RunnerDeployment:
    """Build a deployment without registering it.

    Args:
        config: default parameters of the flow run; its paths are absolute.
        until: last stage; None runs all.
        name: name of the deployment.
        pool: work pool whose worker runs it.
        when: its schedule; None without.
        tags: tags in addition to those of this program.
        when_data_changes: run only if the data have changed, and only the stages that depend on them.

    Raises:
        ConfigError: the name contains a character that Prefect does not allow.
    """
    if not name or any(sign in name for sign in FORBIDDEN):
        raise ConfigError(f"a deployment cannot be called {name!r}: choose a name without {FORBIDDEN} with --name")
    flow: Any = new_data_flow if when_data_changes else two_stage_flow
    return flow.to_deployment(
        name,
        schedule=when,
        parameters={"config": config.model_dump(mode="json"), "until": until},
        # A run that is still at work is not joined by the next one.
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        description=cleandoc(flow.fn.__doc__).partition("\n\nArgs:")[0],
        tags=[TAG, *tags],
        work_pool_name=pool,
        entrypoint_type=EntrypointType.MODULE_PATH,  # found wherever the project is installed
    )


def register(built: RunnerDeployment) -> str:
    """Register a deployment, or replace the one with its name; return its address in the UI.

    Raises:
        ServicesError: no server is configured or answers, or it has no such work pool.
    """
    address = _address()
    with get_client(sync_client=True) as client:
        pools = sorted(pool.name for pool in client.read_work_pools())
    pool = built.work_pool_name
    if pool not in pools:
        there = f"there are {', '.join(pools)}" if pools else "there is none"
        raise ServicesError(
            f"there is no work pool {pool!r} ({there}): choose one with --pool, or make it with "
            f"tinybert up --pool {pool}, or prefect work-pool create {pool} --type process"
        )
    return f"{address.removesuffix('/api')}/deployments/deployment/{built.apply()}"


def start(name: str) -> tuple[str, str]:
    """Start a run of a deployment now; return the run's name and its address in the UI.

    Args:
        name: name of the deployment, with or without that of its flow (``two-stage-tinybert/NAME``).

    Raises:
        ServicesError: no server is configured or answers, or it has no such deployment, or several.
    """
    address = _address()
    with get_client(sync_client=True) as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        ids = {f"{flows.get(deployed.flow_id)}/{deployed.name}": deployed.id for deployed in client.read_deployments()}
        fitting = [full for full in sorted(ids) if name in {full, full.partition("/")[2]}]
        if len(fitting) != 1:
            there = ", ".join(fitting or sorted(ids)) or "none"
            what = "several deployments are" if fitting else "no deployment is"
            raise ServicesError(f"{what} called {name!r}: choose one of these (there is {there})")
        run = client.create_flow_run_from_deployment(ids[fitting[0]])
    return f"{fitting[0]} as {run.name}", f"{address.removesuffix('/api')}/runs/flow-run/{run.id}"


def _address() -> str:
    """Return the server's address; raise ``ServicesError`` if none is configured or answers."""
    address = PREFECT_API_URL.value()
    if not address:
        raise ServicesError("there is no Prefect server: start one with tinybert up, or set PREFECT_API_URL")
    if problem := why_unreachable():
        raise ServicesError(
            f"the Prefect server at {address} cannot be reached ({problem}): start it, or tinybert up, or set "
            "PREFECT_API_URL to one that runs"
        )
    return address


def _zone(name: str) -> str:
    """Return the name of a time zone after checking that it exists."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"--timezone {name!r} is no time zone: write one like Europe/Berlin, or UTC") from error
    return name
