"""What commands run is named, and is there."""

from importlib import import_module

import pytest

from flows import automate, cli, commands, deploy, export, predict, serve
from flows.later import Later
from flows.services import commands as services
from flows.shipping import engines

NAMED = [
    value
    for module in (automate, cli, commands, deploy, engines, export, predict, serve, services)
    for value in vars(module).values()
    if isinstance(value, Later)
]


@pytest.mark.parametrize("work", NAMED, ids=lambda work: f"{work.module}:{work.function}")
def test_what_a_command_names_is_there(work: Later) -> None:
    assert callable(getattr(import_module(work.module), work.function))
