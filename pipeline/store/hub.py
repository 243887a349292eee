"""A name on a hub stands for a commit, and for another one tomorrow: which one it is today is asked, and remembered.

Where the hub cannot be asked, the name stands for the commit it was last seen to stand for on this machine; that is
said. A revision that is a commit itself is never asked about.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pipeline.config.own_folder import own_folder
from pipeline.store.disk import write_atomic

COMMIT = re.compile(r"[0-9a-f]{40}")
ASK_SECONDS = 5.0
SEEN = "hub.json"
SHORT = 12


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
    said = _ask(wanted)
    if COMMIT.fullmatch(said):
        _remember(wanted, said)
        return Pinned(said)
    what = f"the hub cannot be asked for {wanted.name}@{wanted.revision} ({said})"
    for commit, when in (_remembered(wanted), _downloaded(wanted)):
        if commit:
            return Pinned(commit, f"{what}: it is taken for {commit[:SHORT]}, {when}")
    return Pinned(None, f"{what}, and was not on this machine before: a change on the hub would not be noticed")


def _ask(wanted: HubName) -> str:
    """The commit, or why it cannot be had."""
    from huggingface_hub import HfApi

    try:
        found = HfApi().repo_info(
            wanted.name, repo_type=wanted.kind, revision=wanted.revision, timeout=_seconds(HfApi().endpoint)
        )
    except Exception as error:  # noqa: BLE001 - the library and its transport raise many kinds
        if not hasattr(error, "response"):  # nobody answered
            _silent.add(HfApi().endpoint)
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    return str(found.sha)


_silent: set[str] = set()


def _seconds(endpoint: str) -> float:
    """How long to wait for an answer; hardly at all from a hub that has not answered before."""
    return 0.5 if endpoint in _silent else ASK_SECONDS


def _key(wanted: HubName) -> str:
    from huggingface_hub import HfApi

    return f"{HfApi().endpoint} {wanted.kind} {wanted.name}@{wanted.revision}"


def _seen() -> dict[str, Any]:
    try:
        told = json.loads((own_folder() / SEEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _remember(wanted: HubName, commit: str) -> None:
    """Keep what the hub said; a folder that cannot be written just remembers nothing."""
    known, key = _seen(), _key(wanted)
    now = datetime.now(UTC).date().isoformat()
    if known.get(key) == [commit, now]:
        return
    try:
        own_folder().mkdir(parents=True, exist_ok=True)
        write_atomic(own_folder() / SEEN, json.dumps(known | {key: [commit, now]}, indent=1).encode())
    except OSError:
        return


def _remembered(wanted: HubName) -> tuple[str, str]:
    """The commit that the hub last named, and when."""
    match _seen().get(_key(wanted)):
        case [str(commit), str(day)] if COMMIT.fullmatch(commit):
            return commit, f"as the hub said on {day}"
    return "", ""


def _downloaded(wanted: HubName) -> tuple[str, str]:
    """The commit that was last downloaded under that name."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=wanted.name, repo_type=wanted.kind)
    try:
        commit = (folder / "refs" / wanted.revision).read_text(encoding="utf-8").strip()
    except OSError:
        return "", ""
    return (commit, "which was downloaded") if COMMIT.fullmatch(commit) else ("", "")
