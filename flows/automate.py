"""``tinybert automate``: have the server act on what becomes of runs."""

from typing import Annotated

import typer

from flows.later import later
from flows.prefect_settings import apply

register = later("flows.automations:register")  # it loads Prefect, which is to happen once its settings stand


def automate(
    webhook: Annotated[
        str | None,
        typer.Option(
            help="Address that is posted to when a stage fails; better set than typed, if it holds a key.",
            envvar="TINYBERT_WEBHOOK_URL",
        ),
    ] = None,
) -> None:
    """Have the server mark runs that fell silent as crashed, and call a webhook when a stage fails."""
    apply()
    for name in register(webhook):
        print(f"registered {name}")  # noqa: T201 - as it is
