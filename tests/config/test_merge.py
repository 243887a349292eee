import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.merge import lay, merge, merge_mappings
from pipeline.errors import ConfigError

KEYS = st.sampled_from(["a", "b", "c", "d"])
LEAVES = st.none() | st.booleans() | st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=3)
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=4), max_leaves=10).filter(
    lambda tree: isinstance(tree, dict)
)


def leaves(tree, path=()):
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, tree


def at(tree, path):
    for part in path:
        tree = tree[part]
    return tree


@given(TREES, TREES)
def test_what_the_layer_says_holds_and_the_rest_stays(base, layer):
    before = copy.deepcopy((base, layer))
    merged = merge_mappings(base, layer)
    for path, value in leaves(layer):
        if value != {}:
            assert at(merged, path) == value
    said = [path for path, _ in leaves(layer)]
    for path, value in leaves(base):
        touched = any(path[: len(other)] == other or other[: len(path)] == path for other in said)
        if path and not touched:
            assert at(merged, path) == value
    assert (base, layer) == before


@given(TREES)
def test_nothing_and_itself_change_nothing(tree):
    assert merge_mappings(tree, {}) == merge_mappings({}, tree) == merge_mappings(tree, tree) == tree


@given(TREES, TREES)
def test_laying_twice_is_laying_once(base, layer):
    once = merge_mappings(base, layer)
    assert merge_mappings(once, layer) == once


def test_null_switches_a_section_off_and_keys_switch_it_on():
    assert merge({"a": {"b": 1}}, {"a": None}) == {"a": None}
    assert merge({"a": None}, {"a": {"b": 1}}) == {"a": {"b": 1}}


def test_numbers_and_their_text_are_one_key():
    assert merge({0: "no", 1: "yes"}, {"0": "never"}) == {0: "never", 1: "yes"}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(0, 5))
def test_a_position_changes_one_item_or_adds_the_next(items, position):
    if position > len(items):
        with pytest.raises(ConfigError, match=rf"x\.{position} does not exist: x has {len(items)} items"):
            merge({"x": items}, {"x": {str(position): -1}})
        return
    changed = merge({"x": items}, {"x": {str(position): -1}})["x"]
    assert changed == [*items[:position], -1, *items[position + 1 :]]


def test_positions_reach_into_sections():
    base = {"students": [{"name": "a", "layers": 3}, {"name": "b", "layers": 4}]}
    assert lay(base, {"students": {"1": {"layers": 2}}}) == {
        "students": [{"name": "a", "layers": 3}, {"name": "b", "layers": 2}]
    }


@pytest.mark.parametrize(
    ("base", "layer", "kept"),
    [
        ({"packages": ["numpy"], "max_length": 64}, {"paths": ["a"]}, {"paths": ["a"], "max_length": 64}),
        ({"hub": "x", "hub_config": "c", "hub_revision": "1"}, {"packages": ["p"]}, {"packages": ["p"]}),
        ({"hub": "x", "hub_revision": "1"}, {"hub": "y"}, {"hub": "y", "hub_revision": "1"}),
        ({"packages": ["p"]}, {"max_length": 8}, {"packages": ["p"], "max_length": 8}),
        ({"packages": ["p"]}, {"paths": []}, {"packages": ["p"], "paths": []}),
        ({"packages": ["p"]}, {"paths": ["a"], "hub": "x"}, {"paths": ["a"], "hub": "x"}),
    ],
)
def test_another_source_takes_the_place_of_the_one_beneath(base, layer, kept):
    assert lay({"corpus": base}, {"corpus": layer}) == {"corpus": kept}


def test_a_task_folder_replaces_files_and_a_shape_replaces_a_preset():
    base = {"task": {"train": "a.csv", "dev": "b.csv", "text": "t"}, "students": [{"preset": "p", "dropout": 0}]}
    layer = {"task": {"dir": "d"}, "students": {"0": {"layers": 3, "hidden": 12}}}
    assert lay(base, layer) == {
        "task": {"dir": "d", "text": "t"},
        "students": [{"dropout": 0, "layers": 3, "hidden": 12}],
    }
