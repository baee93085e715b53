import re
from typing import Any

import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.schema import (
    Assignments,
    Rule,
    choice,
    mapping,
    not_negative,
    subset,
    switch,
    whole,
)

RULES = {
    "steps": whole(1),
    "rate": not_negative(),
    "loss": choice("ce", "dice"),
    "flip": switch(),
    "axes": subset("x", "y"),
    "weights": mapping("a mapping"),
    "radius": Rule(int, lambda _: True, "a whole number", "is"),
    "loud": Rule(bool, lambda _: True, "on or off", read=lambda text: {"on": True}[text]),
}
ASSIGNMENTS = Assignments(RULES.__getitem__, "given as key=value", "value {key}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps=3", 3),
        ("rate=1", 1.0),
        ("rate=1e-3", 0.001),
        ("loss=dice", "dice"),
        ("flip=true", True),
        ("axes=y,x", ("y", "x")),
        ('axes=["x"]', ("x",)),
        ("axes=", ()),
        ('weights={"a=b": 1}', {"a=b": 1}),
        ("loud=on", True),
    ],
)
def test_a_value_gets_its_type(text: str, expected: Any) -> None:
    ((key, value),) = ASSIGNMENTS.read([text])
    assert key == text.partition("=")[0]
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps", "given as key=value, got 'steps'"),
        ("steps=0", "value steps must be a whole number of at least 1, got 0"),
        ("steps=1.0", "value steps must be a whole number of at least 1, got '1.0'"),
        ("rate=nan", "value rate must be a number of at least 0, got nan"),
        ("loss=mse", "value loss must be one of ce, dice, got 'mse'"),
        ("flip=1", "value flip must be true or false, got 1"),
        ("flip=True", "value flip must be true or false, got 'True'"),
        ("axes=x,x", "value axes must be a list of some of x, y, got ['x', 'x']"),
        ("weights=[1]", "value weights must be a mapping, got [1]"),
        ("radius=x", "value radius is a whole number, got 'x'"),
    ],
)
def test_a_bad_assignment_is_named(text: str, message: str) -> None:
    with pytest.raises(SparseError, match=f"^{re.escape(message)}$"):
        list(ASSIGNMENTS.read([text]))


def test_what_is_given_twice() -> None:
    texts = ["steps=1", "radius=2", "steps=3"]
    assert list(ASSIGNMENTS.read(texts)) == [("steps", 1), ("radius", 2), ("steps", 3)]
    assert ASSIGNMENTS.read_once(texts[:2]) == {"steps": 1, "radius": 2}
    with pytest.raises(SparseError, match=r"^value steps is given twice$"):
        ASSIGNMENTS.read_once(texts)
