import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nnunet_sparse.system.exact_json import from_json, to_json

NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    arrays.arrays(
        st.one_of(arrays.integer_dtypes(), arrays.floating_dtypes(), arrays.boolean_dtypes()),
        arrays.array_shapes(min_dims=0, min_side=0, max_side=3),
        elements={"allow_nan": False},
    ),
)
VALUES = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=6,
)


def equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    return bool(one == other)


@given(VALUES)
def test_what_was_written_comes_back(value: Any) -> None:
    assert equal(from_json(json.loads(json.dumps(to_json(value)))), value)


def test_infinity_and_nan_come_back() -> None:
    value = [math.inf, np.float32(-math.inf), math.nan]
    found = from_json(json.loads(json.dumps(to_json(value))))
    assert found[:2] == value[:2]
    assert type(found[1]) is np.float32
    assert math.isnan(found[2])


@pytest.mark.parametrize("value", [object(), {1: 2}, {3}, np.array(["a"]), b"a", 1j])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be kept"):
        to_json(value)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"tuple": 1},
        {"dict": [1]},
        {"list": []},
        {"tuple": [], "dict": {}},
        {"scalar": {"dtype": "O", "shape": [], "values": ["a"]}},
        {"scalar": {"dtype": "|u1", "shape": [], "values": [300]}},
        {"array": {"dtype": "<f8", "shape": [3], "values": [1, 2]}},
        {"array": {"dtype": "nonsense", "shape": [0], "values": []}},
        {"array": 3},
    ],
)
def test_other_content_is_refused(content: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_json(content)
