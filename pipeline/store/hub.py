"""A name on a hub stands for a commit, and for another one tomorrow: which one it is today is asked, and remembered.

Where the hub cannot be asked, the name stands for the commit it was last seen to stand for on this machine; that is
said. A revision that is a commit itself is never asked about.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubName:
    """What is looked for.

    Args:
        kind: what the hub calls it.
        name: such as ``google/electra-small``.
        revision: branch, tag or commit.
    """

    kind: Literal["model", "dataset"]
    name: str
    revision: str


@dataclass(frozen=True)
class Pinned:
    """What a name stands for.

    Attributes:
        commit: None if nobody here knows.
        note: what a user should know about that; empty where the hub has said it.
    """

    commit: str | None
    note: str = ""


@cache
def pin(wanted: HubName) -> Pinned:
    """The commit behind a name; asked once a process, so that a run means one by it from its plan to its end."""
    if COMMIT.fullmatch(wanted.revision):
        return Pinned(wanted.revision)
    from pipeline.store.hub_commits import look_up  # it loads the hub's client

    return Pinned(*look_up(wanted.kind, wanted.name, wanted.revision))
