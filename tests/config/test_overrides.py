import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.load import parse_override, parse_overrides
from pipeline.config.yaml_text import one_line, read_yaml
from pipeline.errors import ConfigError

KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,11}", fullmatch=True)
PATHS = st.lists(KEYS, min_size=1, max_size=4).map(tuple)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8)


@given(PATHS, VALUES)
def test_a_value_written_as_yaml_is_read_back_at_its_path(path, value):
    text = one_line(value)
    assert "\n" not in text
    assert parse_override(f"{'.'.join(path)}={text}") == (path, value)


@given(VALUES)
def test_one_line_reads_back_equal_inside_a_block(value):
    assert read_yaml(f"a:\n  b: {one_line(value)}\n", "text") == {"a": {"b": value}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8000", 8000),
        ("5e-5", 5e-5),
        ("5.0e-5", 5e-5),
        ("true", True),
        ("null", None),
        ("~", None),
        ("[a, 1]", ["a", 1]),
        ("{preset: x}", {"preset": "x"}),
        ("'5'", "5"),
        ("#1 String", "#1 String"),
        ("a: b", "a: b"),
        ("*.txt", "*.txt"),
        ("a=b", "a=b"),
        ("=", "="),
        ("<<", "<<"),
        ("2024-01-01", "2024-01-01"),
        ("  x  ", "x"),
    ],
)
def test_what_a_value_means(text, value):
    assert parse_override(f"key={text}") == (("key",), value)


@given(st.from_regex(r"[A-Za-z#*&%@!/][ -~]{0,30}", fullmatch=True))
def test_a_bare_word_loses_no_sign(text):
    _, value = parse_override(f"key={text}")
    assert value == text.strip() or value is None or isinstance(value, bool)


@given(PATHS, SCALARS, SCALARS)
def test_the_last_override_of_a_key_wins(path, first, last):
    name = ".".join(path)
    tree = parse_overrides([f"{name}={one_line(first)}", f"{name}={one_line(last)}"])
    for part in path:
        tree = tree[part]
    assert tree == last


def test_overrides_of_one_section_come_together():
    assert parse_overrides(["a.b=1", "a.c.d=2", "e=[1, 2]", "e.1=3"]) == {"a": {"b": 1, "c": {"d": 2}}, "e": [1, 3]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("task.train_rows", "is not KEY=VALUE"),
        ("=3", "is not KEY=VALUE"),
        ("a..b=3", "is not KEY=VALUE"),
        ("a.=3", "is not KEY=VALUE"),
        ("teacher.model=", "write teacher.model=null"),
        ("students=[{preset: x", "override students=[{preset: x, line 1"),
        ("corpus.paths=[*.txt]", "in quotes"),
        ("a={b: 1, b: 2}", "given twice"),
        ("seed=0x" + "f" * 5000, "override seed"),
        ("seed=" + "9" * 5000, "override seed"),
    ],
)
def test_what_is_no_override_is_one_line(text, said):
    with pytest.raises(ConfigError) as caught:
        parse_overrides([text])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_infinity_is_a_number():
    assert parse_override("a=.inf") == (("a",), math.inf)
