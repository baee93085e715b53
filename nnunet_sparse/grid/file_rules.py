"""What the values of an experiment file may be, and how they are converted."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from nnunet_sparse.interpolation.interpolator_presets import InterpolatorPreset
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.selectors import get_selector
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import is_text
from nnunet_sparse.system.schema import Rule, mapping, subset

LARGEST = 2**31 - 1
"""Largest number of slices, and largest seed: all libraries take it, and names can hold it."""

_AXES = 3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*(_[A-Za-z0-9.+-]+)*")


def fractions(value: Any) -> Any:
    """Numbers of a list; ``1/8`` may stand for 0.125, and one number for a list of one."""
    values = value if isinstance(value, list | tuple) else [value]
    return [fraction(item) for item in values]


def fraction(value: Any) -> Any:
    """A number; ``1/8`` may stand for 0.125."""
    if isinstance(value, str) and re.fullmatch(r"\d+/\d+", value):
        above, below = (int(part) for part in value.split("/"))
        return above / below if below else value
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def as_text(value: Any) -> Any:
    """Text, for which a whole number may stand."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def listed(value: Any) -> Any:
    """A list, for which its only item may stand."""
    return value if isinstance(value, list | tuple) else [value]


def shares(of: str, empty: bool = False) -> Rule:
    """Different numbers above 0 and up to 1."""

    def accepts(values: Sequence[Any]) -> bool:
        numbers = all(isinstance(v, float) and 0 < v <= 1 for v in values)
        return numbers and len(set(values)) == len(values) and (empty or len(values) > 0)

    return Rule(tuple, accepts, f"a list of different {of} above 0 and up to 1, as [0.1, 1/8]")


def numbers(valid: str, low: int, length: int | None = None, high: int = LARGEST) -> Rule:
    """Whole numbers: as many as ``length`` says, or different ones."""

    def accepts(values: Sequence[Any]) -> bool:
        whole_numbers = all(type(v) is int and low <= v <= high for v in values)
        right_length = len(values) == length if length else len(values) > 0
        different = length is not None or len(set(values)) == len(values)
        return whole_numbers and right_length and different

    return Rule(tuple, accepts, valid)


DENSITY = Rule(float, lambda value: 0 < value <= 1, "a number above 0, at most 1")
DENSITIES = shares("densities")
FRACTIONS = shares("volume fractions")
SLICES = numbers(f"different whole numbers from 1 to {LARGEST}", 1)


SPACING = Rule(
    tuple,
    lambda values: (
        len(values) == _AXES and all(isinstance(v, float) and 0 < v < math.inf for v in values)
    ),
    "three numbers of mm above 0 (z, y, x), as [3, 3.75, 3.75]",
)


def some(choices: Sequence[str], empty: bool = False, known: Sequence[str] = ()) -> dict[str, Any]:
    """Arguments of a field that holds some of some words.

    Those of ``known`` pass as well, where it is said later why they cannot be used.
    """
    inner = subset(*choices, *known)
    valid = subset(*choices).valid
    rule = Rule(tuple, lambda v: (empty or len(v) > 0) and inner.accepts(v), valid)
    return {"rule": rule, "convert": listed, "choices": choices}


def number_or(word: str, most: int | None = None) -> Rule:
    """A whole number from 1 on, as text, or one word."""

    def accepts(value: str) -> bool:
        if value == word:
            return True
        return value.isdecimal() and 0 < int(value) <= (most or int(value))

    numbers = "of at least 1" if most is None else f"from 1 to {most}"
    return Rule(str, accepts, f"a whole number {numbers}, or {word}")


def text(valid: str) -> Rule:
    """Text that is not empty, and that a file can be called."""
    return Rule(str, lambda value: value != "" and "\0" not in value and is_text(value), valid)


def name(valid: str) -> Rule:
    """Letters, digits and a few signs, as names of files have them."""
    return Rule(str, lambda value: _NAME.fullmatch(value) is not None, valid)


def texts(valid: str) -> Rule:
    """Different texts."""

    def accepts(values: Sequence[Any]) -> bool:
        return all(isinstance(v, str) and v for v in values) and len(set(values)) == len(values)

    return Rule(tuple, accepts, valid)


def check_parameters(of_selectors: Mapping[str, Any]) -> None:
    """Refuse parameters that a selector does not have, or cannot have these values.

    Raises
    ------
    SparseError
        Naming selector, parameter and value.
    """
    for selector, values in of_selectors.items():
        if not isinstance(values, dict) or not values:
            raise SparseError(
                f"parameters of {selector} are keys with a value or a list of values, as "
                f"{{clusters: [5, 10]}}, got {values!r}"
            )
        for key, several in values.items():
            given = listed(several)
            if not given or len(set(map(str, given))) != len(given):
                raise SparseError(
                    f"parameter {key} of {selector} must have different values, got {several!r}"
                )
            for value in given:
                get_selector(selector, {key: parameter(selector, key, value)})


def parameter(selector: str, key: str, value: Any) -> Any:
    """Value of a parameter of a selector, of its own type; an int may stand for a float.

    Raises
    ------
    SparseError
        If it has another type.
    """
    default = get_selector(selector).parameters.get(key)
    if default is None:  # unknown, which the selector refuses
        return value
    kinds = (int, float) if isinstance(default, float) else (type(default),)
    if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool):
        raise SparseError(
            f"parameter {key} of selector {selector!r} is like {default!r}, got {value!r}"
        )
    return type(default)(value)


PARAMETERS = {
    "rule": mapping("parameters of selectors, as {ual: {clusters: [5, 10]}}"),
    "check": check_parameters,
}
"""Metadata of a field that holds parameters of selectors."""


def check_changes(changes: Mapping[str, Any]) -> None:
    """Refuse changes of an interpolator's preset that it cannot have.

    Raises
    ------
    SparseError
        Naming the key and its value.
    """
    kinds = {item.name: item.type for item in fields(InterpolatorPreset)}
    for key, value in changes.items():
        if key not in kinds:
            raise SparseError(f"changes has no {key!r}, there are {', '.join(kinds)}")
        allowed = (int,) if kinds[key] is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed):
            kind = "a whole number" if kinds[key] is int else "a number"
            raise SparseError(f"{key} is {kind}, got {value!r}")
        Interpolation(changes=((key, value),))


CHANGES = {
    "rule": mapping("values of an interpolator's preset, as {num_steps: 5000}"),
    "check": check_changes,
}
"""Metadata of a field that holds changes of an interpolator's preset."""
