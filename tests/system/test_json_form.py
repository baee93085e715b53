from typing import Any

import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import check_file_name
from nnunet_sparse.system.json_form import (
    AXIS,
    COUNT,
    NUMBER,
    TEXT,
    Keys,
    ListOf,
    NamesTo,
    check_form,
    or_none,
)

FORM = Keys(
    {"axis": AXIS, "cases": NamesTo(ListOf(COUNT), check_file_name)},
    {"weight": NUMBER, "hash": or_none(TEXT)},
)
GOOD: dict[str, Any] = {"axis": 0, "cases": {"a": [1, 2], "b": []}}


@pytest.mark.parametrize("more", [{}, {"weight": 1}, {"hash": None}, {"others": object()}])
def test_what_has_the_form_is_taken(more: dict[str, Any]) -> None:
    check_form(GOOD | more, FORM, "file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "it must be an object"),
        ({"axis": 0}, "it lacks cases"),
        (GOOD | {"axis": 3}, "axis must be 0, 1 or 2, got 3"),
        (GOOD | {"axis": True}, "axis must be 0, 1 or 2, got True"),
        (GOOD | {"cases": {"a": [0, -1]}}, "cases.a.1 must be a whole number from 0 on, got -1"),
        (GOOD | {"cases": {"a": [2**63]}}, "cases.a.0 must be a whole number from 0 on"),
        (GOOD | {"cases": {"a": None}}, "cases.a must be a list, got None"),
        (GOOD | {"cases": {"../a": []}}, "a key of cases must be a name without"),
        (GOOD | {"weight": float("nan")}, "weight must be a number, got nan"),
        (GOOD | {"weight": True}, "weight must be a number, got True"),
        (GOOD | {"hash": 3}, "hash must be a text or null, got 3"),
    ],
)
def test_other_content_is_refused_with_its_keys(content: Any, message: str) -> None:
    with pytest.raises(SparseError) as raised:
        check_form(content, FORM, "file")
    assert str(raised.value).startswith(f"file: {message}")
