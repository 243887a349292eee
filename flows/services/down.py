"""Stop what ``tinybert up`` started, and nothing else: the worker first, while it can still report what it ends."""

import sys
from collections.abc import Callable

import typer

from flows.services.launch import stop
from flows.services.state import Service, ServicesError, Settings, alone, read, remove
from flows.services.status import FlowRun, cancel_runs, describe_runs, runs_at_work, wait_for_runs


def down(say: Callable[[str], None], *, wait: bool, cancel: bool) -> None:
    """Stop the running services; if flow runs are at work, ask on the terminal first.

    Args:
        say: receives one line for each service.
        wait: wait until no run is at work.
        cancel: cancel the runs that are at work.

    Raises:
        ServicesError: runs are at work and neither option nor terminal says what to do with them, or the state file
            cannot be read.
    """
    if wait and cancel:
        raise ServicesError("--wait and --cancel are two ways to end the runs at work: give one of them")
    services = read()
    if services is not None and "server" in services.alive() and (runs := runs_at_work(services.settings)):
        _end_runs(services.settings, runs, say, wait=wait, cancel=cancel)
    with alone():
        services = read()
        if services is None:
            say("nothing is up")
            return
        for service in reversed(services.services):
            say(f"stopped the {describe(service)}" if stop(service) else ended(service))
        remove()


def _end_runs(settings: Settings, runs: list[FlowRun], say: Callable[[str], None], *, wait: bool, cancel: bool) -> None:
    """Wait for the runs at work, cancel them, or ask; return once the services may be stopped."""
    if wait:
        wait_for_runs(settings, say)
    elif cancel:
        say(f"cancelling: {describe_runs(runs)}")
        if left := cancel_runs(settings, runs):
            say(f"not heard of again: {describe_runs(left)}")
    elif not sys.stdin.isatty():
        raise ServicesError(f"{describe_runs(runs)}: use --wait to let them end, or --cancel")
    else:
        say(f"{describe_runs(runs)}; what the worker runs ends with it, other runs go on without the UI")
        if not typer.confirm("stop all the same?"):
            raise ServicesError("nothing was stopped: tinybert down --wait stops once they have ended")


def describe(service: Service) -> str:
    """Return a service's name and process number, for messages."""
    return f"{service.name} (process {service.pid})"


def ended(service: Service) -> str:
    """Return the message about a service that ended by itself or with the machine."""
    return f"the {describe(service)} had ended already; its entry is removed (its log: {service.log})"
