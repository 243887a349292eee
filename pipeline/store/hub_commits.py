"""Which commit a name on a hub stands for: asked, remembered, or found where downloads lie."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants
from huggingface_hub.file_download import repo_folder_name

from pipeline.config.user_dir import user_dir
from pipeline.store.disk import write_atomic

COMMIT = re.compile(r"[0-9a-f]{40}")
ASK_SECONDS = 5.0
SEEN = "hub.json"
SHORT = 12


def look_up(kind: str, name: str, revision: str) -> tuple[str | None, str]:
    """The commit, None if nobody here knows, and what a user should know about it.

    Args:
        kind: what the hub calls it, model or dataset.
        name: such as ``google/electra-small``.
        revision: branch or tag.
    """
    key = f"{HfApi().endpoint} {kind} {name}@{revision}"
    said = _ask(kind, name, revision)
    if COMMIT.fullmatch(said):
        _remember(key, said)
        return said, ""
    what = f"the hub cannot be asked for {name}@{revision} ({said})"
    for commit, when in (_remembered(key), _downloaded(kind, name, revision)):
        if commit:
            return commit, f"{what}: it is taken for {commit[:SHORT]}, {when}"
    return None, f"{what}, and was not on this machine before: a change on the hub would not be noticed"


def _ask(kind: str, name: str, revision: str) -> str:
    """The commit, or why it cannot be had."""
    try:
        found = HfApi().repo_info(name, repo_type=kind, revision=revision, timeout=_seconds(HfApi().endpoint))
    except Exception as error:  # noqa: BLE001 - the library and its transport raise many kinds
        if not hasattr(error, "response"):  # nobody answered
            _silent.add(HfApi().endpoint)
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    return str(found.sha)


_silent: set[str] = set()


def _seconds(endpoint: str) -> float:
    """How long to wait for an answer; hardly at all from a hub that has not answered before."""
    return 0.5 if endpoint in _silent else ASK_SECONDS


def _seen() -> dict[str, Any]:
    try:
        told = json.loads((user_dir() / SEEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _remember(key: str, commit: str) -> None:
    """Keep what the hub said; a folder that cannot be written just remembers nothing."""
    known = _seen()
    now = datetime.now(UTC).date().isoformat()
    if known.get(key) == [commit, now]:
        return
    try:
        user_dir().mkdir(parents=True, exist_ok=True)
        write_atomic(user_dir() / SEEN, json.dumps(known | {key: [commit, now]}, indent=1).encode())
    except OSError:
        return


def _remembered(key: str) -> tuple[str, str]:
    """The commit that the hub last named, and when."""
    match _seen().get(key):
        case [str(commit), str(day)] if COMMIT.fullmatch(commit):
            return commit, f"as the hub said on {day}"
    return "", ""


def _downloaded(kind: str, name: str, revision: str) -> tuple[str, str]:
    """The commit that was last downloaded under that name."""
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type=kind)
    try:
        commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    except OSError:
        return "", ""
    return (commit, "which was downloaded") if COMMIT.fullmatch(commit) else ("", "")
