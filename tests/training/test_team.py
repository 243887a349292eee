"""Words between the processes of a team, here threads that share a store."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributed import HashStore, PrefixStore

from pipeline.training.rendezvous import meet
from pipeline.training.team import LeaderLeftError, Team, agree, join, launched, team

WORDS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def together(size: int, act: Callable[[Team], Any]) -> list[Any]:
    """What each process of a team comes to."""
    store = HashStore()
    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(lambda rank: act(Team(rank, size, store)), range(size)))


@given(words=st.lists(WORDS, max_size=5))
@settings(max_examples=20, deadline=None)
def test_followers_hear_every_word_once_and_in_order(words: list[Any]) -> None:
    def act(own: Team) -> list[Any]:
        if own.follows:
            return [own.hear() for _ in words]
        for word in words:
            own.tell(word)
        return words

    assert together(3, act) == [words] * 3


def test_all_agree_on_what_the_leader_says_however_late_it_comes() -> None:
    def act(own: Team) -> list[str]:
        agreed = []
        for turn in range(3):
            time.sleep(0.05 * (own.rank == turn))
            agreed.append(own.agree(f"{turn} by {own.rank}"))
        own.part()
        return agreed

    assert together(3, act) == [["0 by 0", "1 by 0", "2 by 0"]] * 3


def test_who_starts_again_does_not_hear_what_was_said_before() -> None:
    """The store outlives the processes; some of them had not even met, and there may be fewer now."""
    store = HashStore()

    def attempt(size: int) -> list[tuple[str, str]]:
        def act(rank: int) -> tuple[str, str]:
            time.sleep(0.1 * (rank == 0))
            meeting = meet(store, rank, size)
            return meeting, Team(rank, size, PrefixStore(meeting, store)).agree(f"{meeting} is on")

        with ThreadPoolExecutor(size) as threads:
            return list(threads.map(act, range(size)))

    attempts = []
    for size in (3, 3, 2):
        store.set("hello-1", "somebody who died before he was answered")
        attempts.append(attempt(size))
    meetings = [{meeting for meeting, _ in found} for found in attempts]
    assert [len(found) for found in meetings] == [1, 1, 1]
    assert len(set.union(*meetings)) == 3
    assert all(word == f"{meeting} is on" for found in attempts for meeting, word in found)


def test_a_word_must_be_a_json_value() -> None:
    with pytest.raises(TypeError):
        Team().agree(object())


def test_followers_stop_waiting_when_the_leader_fails() -> None:
    def act(own: Team) -> Any:
        if not own.follows:
            own.tell("last")
            time.sleep(0.1)
            own.fail(4)
            return None
        heard = own.hear()  # a word that was said before the failure still counts
        with pytest.raises(LeaderLeftError) as left:
            own.hear()
        return heard, left.value.exit_code, own.failure()

    assert together(3, act) == [None, ("last", 4, 4), ("last", 4, 4)]


def test_a_leader_that_is_well_has_not_failed() -> None:
    own = Team(1, 2, HashStore())
    assert own.failure() is None
    assert own.failure(within=0.1) is None


def test_the_leader_leaves_last() -> None:
    left: list[int] = []

    def act(own: Team) -> None:
        if own.follows:
            time.sleep(0.2)
            left.append(own.rank)
        own.part()
        if not own.follows:
            left.append(own.rank)

    together(3, act)
    assert left[-1] == 0


def test_one_process_agrees_with_itself_and_needs_nobody() -> None:
    own = Team()
    own.tell({"stage": "teacher"})
    assert own.agree([1, None]) == [1, None]
    own.fail(70)
    own.part()
    assert not own.follows


def test_without_a_launcher_nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert not launched()
    assert join() is team()
    assert agree("alone") == "alone"


def test_a_launcher_of_one_process_makes_no_team(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert not launched()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launched()


def test_asking_for_the_team_loads_no_torch() -> None:
    code = "import sys, pipeline.training.team as t; t.join(); print('torch' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "RANK"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["False"]
