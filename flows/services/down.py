"""Stop what ``tinybert up`` has started, and nothing else: the worker first, while it can still say what it ends."""

import sys
from collections.abc import Callable

import typer

from flows.services import at_work
from flows.services.alone import alone
from flows.services.launch import stop
from flows.services.state import Service, ServicesError, Settings, forget, read


def down(say: Callable[[str], None], *, wait: bool, cancel: bool) -> None:
    """Stop the services that run; where runs are at work, a terminal is asked first.

    Args:
        say: is told about each one.
        wait: until no run is at work.
        cancel: the runs at work.

    Raises:
        ServicesError: runs are at work and nobody says what is to become of them, or what was written down about the
            services cannot be read.
    """
    if wait and cancel:
        raise ServicesError("--wait and --cancel are two ways to end the runs at work: give one of them")
    services = read()
    if services is not None and "server" in services.alive() and (runs := at_work.at_work(services.settings)):
        _end_runs(services.settings, runs, say, wait=wait, cancel=cancel)
    with alone():
        services = read()
        if services is None:
            say("nothing is up")
            return
        for service in reversed(services.services):
            say(f"stopped the {told(service)}" if stop(service) else ended(service))
        forget()


def _end_runs(
    settings: Settings, runs: list[at_work.AtWork], say: Callable[[str], None], *, wait: bool, cancel: bool
) -> None:
    """Come back once the services may be stopped."""
    if wait:
        at_work.wait(settings, say)
    elif cancel:
        say(f"cancelling: {at_work.told(runs)}")
        if left := at_work.cancel(settings, runs):
            say(f"not heard of again: {at_work.told(left)}")
    elif not sys.stdin.isatty():
        raise ServicesError(f"{at_work.told(runs)}: use --wait to let them end, or --cancel")
    else:
        say(f"{at_work.told(runs)}; what the worker runs ends with it, other runs go on without the UI")
        if not typer.confirm("stop all the same?"):
            raise ServicesError("nothing was stopped: tinybert down --wait stops once they have ended")


def told(service: Service) -> str:
    """A service as a person would call it."""
    return f"{service.name} (process {service.pid})"


def ended(service: Service) -> str:
    """What there is to say of a service that is gone, by itself or with the machine."""
    return f"the {told(service)} had ended already; its entry is removed (its log: {service.log})"
