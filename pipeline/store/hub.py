"""Resolve a name on a hub to a commit, since a branch or tag may point to another commit tomorrow.

If the hub cannot be reached, the commit that this machine saw last is used, with a note that says so. A revision that
is a commit itself needs no request.
"""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import huggingface_hub  # its attributes load the hub's client when they are first used
from huggingface_hub import constants

from pipeline.config.user_dir import user_dir
from pipeline.store.disk import write_atomic

COMMIT = re.compile(r"[0-9a-f]{40}")
REQUEST_SECONDS = 5.0
REPEAT_SECONDS = 0.5  # for a hub that has not answered before
SEEN_FILE = "hub.json"
SHORT = 12
_unreachable: set[str] = set()


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
    endpoint, name = huggingface_hub.HfApi().endpoint, f"{hub_name.name}@{hub_name.revision}"
    key = f"{endpoint} {hub_name.kind} {name}"
    answer = _request(endpoint, hub_name)
    if COMMIT.fullmatch(answer):
        _remember(key, answer)
        return Pinned(answer)
    problem = f"the hub cannot be asked for {name} ({answer})"
    for commit, when in (_remembered(key), _downloaded(hub_name)):
        if COMMIT.fullmatch(commit):
            return Pinned(commit, f"{problem}: it is taken for {commit[:SHORT]}, {when}")
    return Pinned(None, f"{problem}, and was not on this machine before: a change on the hub would not be noticed")


def _request(endpoint: str, hub_name: HubName) -> str:
    """Return the commit, or the reason why the hub did not give it."""
    seconds = REPEAT_SECONDS if endpoint in _unreachable else REQUEST_SECONDS
    try:
        info = huggingface_hub.HfApi().repo_info(
            hub_name.name, repo_type=hub_name.kind, revision=hub_name.revision, timeout=seconds
        )
    except Exception as error:  # noqa: BLE001 - the library and its transport raise many kinds
        if not hasattr(error, "response"):  # there was no answer at all
            _unreachable.add(endpoint)
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    return str(info.sha)


def _seen() -> dict[str, Any]:
    try:
        seen = json.loads((user_dir() / SEEN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return seen if isinstance(seen, dict) else {}


def _remember(key: str, commit: str) -> None:
    """Keep the hub's answer; if the folder cannot be written, nothing is kept."""
    seen, now = _seen(), datetime.now(UTC).date().isoformat()
    if seen.get(key) != [commit, now]:
        with suppress(OSError):
            write_atomic(user_dir() / SEEN_FILE, json.dumps(seen | {key: [commit, now]}, indent=1).encode())


def _remembered(key: str) -> tuple[str, str]:
    """Return the commit that the hub named last, and when; "" if there is none."""
    match _seen().get(key):
        case [str(commit), str(day)]:
            return commit, f"as the hub said on {day}"
    return "", ""


def _downloaded(hub_name: HubName) -> tuple[str, str]:
    """Return the commit that was last downloaded under that name; "" if there is none."""
    folder = Path(constants.HF_HUB_CACHE) / f"{hub_name.kind}s--{hub_name.name.replace('/', '--')}"
    try:
        commit = (folder / "refs" / hub_name.revision).read_text(encoding="utf-8").strip()
    except OSError:
        return "", ""
    return commit, "which was downloaded"
