import logging

import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained, in_one_line


class PlanError(SparseError):
    pass


def test_any_error_becomes_ours_and_is_in_the_log(caplog):
    caplog.set_level(logging.DEBUG)
    with (
        pytest.raises(SparseError, match=r"^it failed: no such key$") as caught,
        explained(lambda error: f"it failed: {error.args[0]}"),
    ):
        raise KeyError("no such key")
    assert isinstance(caught.value.__cause__, KeyError)
    assert "Traceback" in caplog.text


def test_our_own_errors_are_passed_on():
    with pytest.raises(SparseError, match=r"^as it was$"), explained(lambda _: "another"):
        raise PlanError("as it was")


def test_an_error_of_another_class_is_turned_into_the_wanted_one():
    with (
        pytest.raises(PlanError, match=r"^wrapped: plain$"),
        explained(lambda error: f"wrapped: {error}", PlanError),
    ):
        raise SparseError("plain")


def test_errors_in_one_line():
    assert in_one_line(ValueError("a\n  b")) == "a b"
    assert in_one_line(ValueError()) == "ValueError"
