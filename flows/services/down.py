"""Stop what ``tinybert up`` has started, and nothing else: the worker first, while it can still say what it ends."""

from collections.abc import Callable

from flows.services.alone import alone
from flows.services.launch import stop
from flows.services.state import Service, forget, read


def down(say: Callable[[str], None]) -> None:
    """Stop the services that run.

    Args:
        say: is told about each one.

    Raises:
        ServicesError: what was written down about them cannot be read.
    """
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
