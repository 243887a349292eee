"""Resolve a name on a hub to a commit, since a branch or tag may point to another commit tomorrow.

If the hub cannot be reached, the commit that this machine saw last is used, with a note that says so. A revision that
is a commit itself needs no request.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubName:
    """A model or data set on a hub.

    Args:
        kind: the hub's word for it.
        name: such as ``google/electra-small``.
        revision: branch, tag or commit.
    """

    kind: Literal["model", "dataset"]
    name: str
    revision: str


@dataclass(frozen=True)
class Pinned:
    """The commit that a name was resolved to.

    Attributes:
        commit: 40 hexadecimal digits; None if it is unknown.
        note: a warning for the user; "" if the hub answered.
    """

    commit: str | None
    note: str = ""


@cache
def pin(hub_name: HubName) -> Pinned:
    """Resolve a name to a commit, once a process: a run uses the same commit from its plan to its end.

    Args:
        hub_name: the model or data set.
    """
    if COMMIT.fullmatch(hub_name.revision):
        return Pinned(hub_name.revision)
    from pipeline.store.hub_commits import look_up  # it loads the hub's client

    return Pinned(*look_up(hub_name.kind, hub_name.name, hub_name.revision))
