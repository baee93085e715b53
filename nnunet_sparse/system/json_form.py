"""The form of a JSON file: what stands under which key, checked before anything is made of it.

A form is a :class:`Value`, :class:`ListOf`, :class:`NamesTo` or :class:`Keys`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import is_file_name
from nnunet_sparse.system.wording import brief


@dataclass(frozen=True)
class Value:
    """One value.

    Attributes
    ----------
    accepts
        Whether a value is meant.
    words
        What it must be.
    """

    accepts: Callable[[Any], bool]
    words: str


@dataclass(frozen=True)
class ListOf:
    """A list of any length, whose items have one form."""

    form: "Form"


@dataclass(frozen=True)
class NamesTo:
    """An object with any keys.

    Attributes
    ----------
    form
        Of the values.
    check_name
        Called with each key and what it is called in messages; raises a SparseError.
    """

    form: "Form"
    check_name: Callable[[str, str], object] = lambda _name, _what: None


@dataclass(frozen=True)
class Keys:
    """An object with known keys; others may stand beside them.

    Attributes
    ----------
    needed, optional
        Form of the values, by key.
    """

    needed: Mapping[str, "Form"]
    optional: Mapping[str, "Form"] = field(default_factory=dict)


Form = Value | ListOf | NamesTo | Keys


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST


_MOST = 2**63  # what arrays hold
ANYTHING = Value(lambda _: True, "anything")
TEXT = Value(lambda value: isinstance(value, str), "a text")
FILE_NAME = Value(is_file_name, "a name that a file can have")
OBJECT = Value(lambda value: isinstance(value, dict), "an object")
SWITCH = Value(lambda value: isinstance(value, bool), "true or false")
NUMBER = Value(lambda value: _is_number(value) and math.isfinite(value), "a number")
WHOLE = Value(lambda value: type(value) is int and abs(value) < _MOST, "a whole number")
COUNT = Value(lambda value: type(value) is int and 0 <= value < _MOST, "a whole number from 0 on")
NOT_NEGATIVE = Value(lambda value: NUMBER.accepts(value) and value >= 0, "a number from 0 on")
POSITIVE = Value(lambda value: NUMBER.accepts(value) and value > 0, "a number above 0")
AXIS = Value(lambda value: type(value) is int and 0 <= value <= 2, "0, 1 or 2")


def or_none(form: Value) -> Value:
    """The same, or null."""
    return Value(lambda value: value is None or form.accepts(value), f"{form.words} or null")


def from_one_to(most: int) -> Value:
    """A whole number that is not large."""
    return Value(
        lambda value: type(value) is int and 1 <= value <= most, f"a whole number from 1 to {most}"
    )


def check_form(content: Any, form: Form, where: str) -> None:
    """Refuse content of another form.

    Parameters
    ----------
    content
        Of a JSON file.
    form
        Its form.
    where
        The file, as messages begin.

    Raises
    ------
    SparseError
        With the keys that lead to the value.
    """
    _check(content, form, where, ())


def _check(content: Any, form: Form, where: str, keys: tuple[str, ...]) -> None:
    if isinstance(form, Value):
        if not form.accepts(content):
            raise _wrong(content, form.words, where, keys)
    elif isinstance(form, ListOf):
        if not isinstance(content, list):
            raise _wrong(content, "a list", where, keys)
        for number, item in enumerate(content):
            _check(item, form.form, where, (*keys, str(number)))
    elif not isinstance(content, dict):
        raise _wrong(content, "an object", where, keys)
    elif isinstance(form, NamesTo):
        for name, value in content.items():
            form.check_name(name, f"{where}: a key of {'.'.join(keys) or 'the file'}")
            _check(value, form.form, where, (*keys, name))
    else:
        if missing := [key for key in form.needed if key not in content]:
            raise SparseError(f"{where}: it lacks {'.'.join((*keys, missing[0]))}")
        for key, inner in {**form.needed, **form.optional}.items():
            if key in content:
                _check(content[key], inner, where, (*keys, key))


def _wrong(content: Any, words: str, where: str, keys: tuple[str, ...]) -> SparseError:
    name = ".".join(keys)
    return SparseError(f"{where}: {name or 'it'} must be {words}, got {brief(content)}")
