"""What commands run is named, and is there."""

from pkgutil import resolve_name

import pytest

from flows import cli, commands, deploy, ship
from flows.later import Later
from flows.services import commands as services
from flows.shipping import engines

NAMED = [
    value
    for module in (cli, commands, deploy, engines, ship, services)
    for value in vars(module).values()
    if isinstance(value, Later)
]


@pytest.mark.parametrize("work", NAMED, ids=lambda work: work.place)
def test_what_a_command_names_is_there(work: Later) -> None:
    assert callable(resolve_name(work.place))
