"""The registry of checks, and running them.

A check is a function with the decorator :func:`check` that returns a finding, or None where it does
not apply. Its parameters are its inputs: each has the name of a property of
:class:`~nnunet_sparse.doctor.dataset_evidence.DatasetEvidence` or of
:class:`~nnunet_sparse.doctor.configuration_evidence.ConfigurationEvidence`. A check with the input
``configuration`` is run for every configuration, others once.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TypeVar

from nnunet_sparse.doctor.finding import Finding, Skipped

Outcome = Finding | Skipped
Check = Callable[..., Finding | None]
F = TypeVar("F", bound=Check)

# by module, in the order of definition
_CHECKS: dict[str, list[Check]] = {}


class UnavailableError(Exception):
    """An input of checks cannot be had, so that they are left out.

    Attributes
    ----------
    outcome
        What the user is told instead, once for all of them; None for nothing.
    """

    def __init__(self, outcome: Outcome | None = None) -> None:
        super().__init__()
        self.outcome = outcome


def check(function: F) -> F:
    """Register a check (decorator)."""
    _CHECKS.setdefault(function.__module__, []).append(function)
    return function


def checks_of(module: ModuleType, *, per_configuration: bool) -> list[Check]:
    """Checks of a module that are about configurations, or those that are not."""
    return [
        function
        for function in _CHECKS.get(module.__name__, [])
        if ("configuration" in inputs_of(function)) == per_configuration
    ]


def inputs_of(function: Check) -> Mapping[str, inspect.Parameter]:
    """Inputs that a check declares, by name."""
    return inspect.signature(function).parameters


def run_checks(checks: Iterable[Check], *sources: object) -> list[Outcome]:
    """Outcomes of checks in their order.

    Parameters
    ----------
    checks
        Registered checks.
    sources
        Objects whose properties are the inputs; an input is read when the first check asks for it.
    """
    outcomes: list[Outcome] = []
    for function in checks:
        try:
            inputs = {name: _input(name, sources) for name in inputs_of(function)}
        except UnavailableError as error:
            if error.outcome is not None and error.outcome not in outcomes:
                outcomes.append(error.outcome)
            continue
        finding = function(**inputs)
        if finding is not None:
            outcomes.append(finding)
    return outcomes


def _input(name: str, sources: Iterable[object]) -> object:
    for source in sources:
        # of the class, so that a property is not computed twice
        if hasattr(type(source), name):
            value: object = getattr(source, name)
            return value
    raise TypeError(f"no evidence has the name {name!r}, which a check declares as an input")
