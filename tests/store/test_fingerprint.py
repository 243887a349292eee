import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.store.fingerprint import canonical, digest_bytes, digest_file, fingerprint

# Never a test of the machine's speed.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@patient
@given(values)
def test_canonical_reads_back_as_the_same_value(value):
    assert json.loads(canonical(value)) == value


@patient
@given(st.dictionaries(st.text(), values, min_size=2))
def test_canonical_does_not_depend_on_the_order_of_keys(value):
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@patient
@given(values, values)
def test_different_values_have_different_bytes(a, b):
    same_text = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert (canonical(a) == canonical(b)) == same_text


@patient
@given(st.lists(leaves))
def test_a_tuple_is_a_list(items):
    assert canonical(tuple(items)) == canonical(items)


def test_canonical_is_stable_text():
    assert canonical({"b": [1, 1.5, True, None], "a": "ü"}) == b'{"a":"\\u00fc","b":[1,1.5,true,null]}'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_by_its_path(number):
    with pytest.raises(ValueError, match=r"value\.training\.rates\[1\] is .*: use a finite number"):
        canonical({"training": {"rates": [1.0, number]}})


@pytest.mark.parametrize("odd", [{1, 2}, b"bytes", object(), 1j])
def test_what_has_no_form_is_refused_by_its_path(odd):
    with pytest.raises(TypeError, match=r"value\.a\.b is a .*: use dict"):
        canonical({"a": {"b": odd}})


def test_a_key_that_is_no_string_is_refused():
    with pytest.raises(TypeError, match=r"value\.a has the key 1 of type int"):
        canonical({"a": {1: "x"}})


def test_every_part_of_an_identity_counts():
    base = fingerprint("teacher", 1, {"seed": 1}, {"corpus": "c"})
    others = [
        fingerprint("student", 1, {"seed": 1}, {"corpus": "c"}),
        fingerprint("teacher", 2, {"seed": 1}, {"corpus": "c"}),
        fingerprint("teacher", 1, {"seed": 2}, {"corpus": "c"}),
        fingerprint("teacher", 1, {"seed": 1}, {"corpus": "d"}),
        fingerprint("teacher", 1, {"seed": 1}, {"text": "c"}),
    ]
    assert len({base, *others}) == 6
    assert len(base) == 64
    assert base == fingerprint("teacher", 1, {"seed": 1}, {"corpus": "c"})


@patient
@given(st.binary())
def test_a_file_has_the_digest_of_its_bytes(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("digest") / "file"
    path.write_bytes(data)
    assert digest_file(path) == digest_bytes(data)
