import sys

import pytest

from nnunet_sparse.doctor.check import (
    UnavailableError,
    check,
    checks_of,
    inputs_of,
    run_checks,
)
from nnunet_sparse.doctor.configuration_evidence import ConfigurationEvidence
from nnunet_sparse.doctor.dataset_evidence import DatasetEvidence
from nnunet_sparse.doctor.examine import CHECK_MODULES
from nnunet_sparse.doctor.finding import Finding, Skipped


@check
def check_number(number: int) -> Finding:
    return Finding("number", "ok", number, "")


@check
def check_other(missing: int) -> Finding:
    return Finding("other", "ok", missing, "")


@check
def check_odd(number: int, configuration: str) -> Finding | None:
    return Finding(configuration, "warning", number, "") if number % 2 else None


class Evidence:
    number, configuration = 3, "2d"

    def __init__(self):
        self.reads = 0

    @property
    def missing(self):
        self.reads += 1
        raise UnavailableError(Skipped("missing", "it is not there"))


def test_checks_are_registered_by_what_they_are_about():
    here = sys.modules[__name__]
    assert checks_of(here, per_configuration=False) == [check_number, check_other]
    assert checks_of(here, per_configuration=True) == [check_odd]


def test_outcomes_in_the_order_of_the_checks():
    outcomes = run_checks([check_other, check_number, check_odd], Evidence())
    assert [outcome.check for outcome in outcomes] == ["missing", "number", "2d"]


def test_what_is_missing_is_said_once():
    evidence = Evidence()
    (outcome,) = run_checks([check_other, check_other], evidence)
    assert outcome == Skipped("missing", "it is not there")
    assert evidence.reads == 2


def test_a_check_that_does_not_apply():
    evidence = Evidence()
    evidence.number = 2
    assert run_checks([check_odd], evidence) == []


def test_an_input_that_there_is_not():
    with pytest.raises(TypeError, match="no evidence has the name 'number'"):
        run_checks([check_number], object())


@pytest.mark.parametrize(
    ("per_configuration", "sources"),
    [(False, [DatasetEvidence]), (True, [ConfigurationEvidence, DatasetEvidence])],
)
def test_all_declared_inputs_exist(per_configuration, sources):
    checks = [c for m in CHECK_MODULES for c in checks_of(m, per_configuration=per_configuration)]
    assert len(checks) == (10, 7)[per_configuration]
    for function in checks:
        for name in inputs_of(function):
            assert any(hasattr(source, name) for source in sources), (function, name)
