"""A variant of a pair differs from its origin in one column, whatever stands in either."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.augmentation.augmenters.tinybert import TinyBertAug
from pipeline.augmentation.candidates.table import CandidateTable
from pipeline.augmentation.variants.draw import Row, augment_rows
from pipeline.config.load import layered
from pipeline.config.recipes import recipe_tree, recipes, split_per_task

WORDS = st.sampled_from(
    ["lazy", "Dog", "gripping", "beautifully", "the", "fox", "42", "!", "[MASK]", "ça", "", "\u202e"]
)
TEXT = st.lists(WORDS, max_size=8).map(" ".join) | st.text(max_size=30)


@pytest.fixture(scope="module")
def augmenter(wordpiece, vectors):
    return TinyBertAug(CandidateTable(wordpiece, None, vectors, 5), probability=0.6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXT, TEXT), max_size=4), st.integers(0, 2**32))
def test_the_other_column_is_the_rows_own_to_the_letter(augmenter, pairs, seed):
    rows = [Row(number, *pair) for number, pair in enumerate(pairs)]
    for made in augment_rows(rows, augmenter, variants=4, seed=seed):
        row = rows[made.origin_id]
        assert made.column in {"text", "text_pair"}
        kept = "text_pair" if made.column == "text" else "text"
        assert getattr(made, kept) == getattr(row, kept)
        assert getattr(made, made.column).lower() != getattr(row, made.column).lower()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXT, TEXT), max_size=4), st.integers(0, 2**32))
def test_the_released_slip_touches_the_first_column_of_the_seconds_variants_alone(augmenter, pairs, seed):
    rows = [Row(number, *pair) for number, pair in enumerate(pairs)]
    right, slip = (
        list(augment_rows(rows, augmenter, variants=4, seed=seed, pair_mutation=mutation)) for mutation in (False, True)
    )
    for one, other in zip(right, slip, strict=True):
        assert one == other or (one.column == "text_pair" and one._replace(text=other.text) == other)
        last = [made.text for made in right if made.origin_id == one.origin_id and made.column == "text"]
        assert one.column == "text" or other.text == ([rows[one.origin_id].text, *last][-1])


@pytest.mark.parametrize("name", [name for name, _ in recipes()])
def test_only_the_recipe_of_the_released_code_has_its_slip(name):
    values, tasks = split_per_task(recipe_tree(name), name)
    for task in ({}, *tasks.values()):
        made = layered([(values, {}), (task, {})], {})
        assert (made["augmentation"] or {}).get("pair_mutation", False) is (name == "huawei")
