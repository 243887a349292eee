"""Stop what ``tinybert up`` has started, and nothing else: the worker first, while it can still say what it ends."""

from collections.abc import Callable

from flows.services.alone import alone
from flows.services.at_work import AtWork, at_work
from flows.services.launch import stop
from flows.services.state import Service, Settings, forget, read


def down(say: Callable[[str], None], consent: Callable[[Settings, list[AtWork]], None]) -> None:
    """Stop the services that run.

    Args:
        say: is told about each one.
        consent: is asked first where runs are at work; returns if the services may be stopped.

    Raises:
        ServicesError: what was written down about them cannot be read.
    """
    services = read()
    if services is not None and "server" in services.alive() and (runs := at_work(services.settings)):
        consent(services.settings, runs)
    with alone():
        services = read()
        if services is None:
            say("nothing is up")
            return
        for service in reversed(services.services):
            say(f"stopped the {told(service)}" if stop(service) else ended(service))
        forget()


def told(service: Service) -> str:
    """A service as a person would call it."""
    return f"{service.name} (process {service.pid})"


def ended(service: Service) -> str:
    """What there is to say of a service that is gone, by itself or with the machine."""
    return f"the {told(service)} had ended already; its entry is removed (its log: {service.log})"
