"""Which rows are learned from, and whose word they carry, against the obvious way of telling."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.tasks.table import TaskData
from pipeline.engine.transfer_set import FLIP_SHARE, TransferSet, find_origins, flip_tolerance, flips


class Ids:
    """A token table of which only the row ids are asked for."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = np.array(ids, np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, _name: str) -> Any:
        return self.ids


def task(kind: Any = "classification", label_range: Any = None, labels: tuple[float, ...] = (0.0,)) -> TaskData:
    return TaskData("t", kind, (), "", False, label_range, 8, {"train": pa.table({"label": list(labels)})}, {})


def transfer(train: list[int], unlabelled: list[int], variants: list[int], said: list[int]) -> TransferSet:
    """One hot logits for the class that is said of each row."""
    ids: Any = Ids([*train, *unlabelled, *variants])
    return TransferSet(ids, np.eye(3, dtype=np.float32)[said], len(train), len(train) + len(unlabelled), None)


#       train 0, 1    unlabelled   variants of row 4, 9, 7, 4
MADE = transfer([4, 9], [7], [4, 9, 7, 4], [0, 1, 2, 0, 2, 2, 1])


def test_variants_find_their_origins_and_flip_where_the_class_differs() -> None:
    assert MADE.origins.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert MADE.flipped.tolist() == [False, False, False, False, True, False, True]


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"labels": "teacher"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"labels": "origin"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"labels": "agree"}, [0, 1, 2, 3, 5]),
        ({"labels": "agree", "augmented": False}, [0, 1, 2]),
        ({"labels": "teacher", "gold": True}, [0, 1]),
        ({"labels": "agree", "gold": True}, [0, 1]),
        ({"labels": "origin", "gold": True}, [0, 1, 3, 4, 6]),
        ({"labels": "origin", "gold": True, "augmented": False}, [0, 1]),
    ],
)
def test_what_is_learned_from(options: dict[str, Any], rows: list[int]) -> None:
    assert MADE.learned_from(**options).tolist() == rows


def test_whose_logits_a_row_carries() -> None:
    assert MADE.label_source_rows("teacher").tolist() == MADE.label_source_rows("agree").tolist() == list(range(7))
    assert MADE.label_source_rows("origin").tolist() == [0, 1, 2, 0, 1, 2, 0]


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), unique=True, min_size=1, max_size=9), st.lists(st.integers(0, 100), max_size=20))
def test_an_origin_is_the_row_of_that_id(originals: list[int], chosen: list[int]) -> None:
    variants = [originals[number % len(originals)] for number in chosen]
    found = find_origins(np.array(originals + variants), len(originals))
    assert found.tolist() == [originals.index(row_id) for row_id in originals + variants]


@pytest.mark.parametrize("stranger", [-1, 5, 99])
def test_a_variant_of_no_row_is_a_defect(stranger: int) -> None:
    with pytest.raises(AssertionError):
        find_origins(np.array([3, 7, stranger]), 2)


def test_scores_agree_within_a_tenth_of_their_range() -> None:
    assert flip_tolerance(task()) is None
    assert flip_tolerance(task("regression", (0.0, 5.0))) == pytest.approx(0.5)
    tolerance = flip_tolerance(task("regression", None, (-1.0, 3.0, 2.0)))
    assert tolerance == pytest.approx(FLIP_SHARE * 4)
    scores = np.array([[1.0], [1.39], [1.41], [0.61], [0.59]], np.float32)
    assert flips(scores, np.zeros(5, np.int64), tolerance).tolist() == [False, False, True, False, True]
