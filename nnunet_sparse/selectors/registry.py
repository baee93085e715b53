"""How selectors are found by name, with their parameters.

Other packages add theirs through the entry point group ``nnunet_sparse.selectors``: the entry
point's name is the selector's, its value the class.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from nnunet_sparse.selectors.selector import INPUTS, SCOPES, Selector
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.schema import Assignments, Rule

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "nnunet_sparse.selectors"

_PARAMETER_TYPES = (bool, int, float, str)
_BOOL = {"true": True, "1": True, "false": False, "0": False}
# they become part of the names of folders
_PARAMETER_TEXT = re.compile(r"[A-Za-z0-9.+-]+")

_SELECTORS: dict[str, type[Selector]] = {}
_SelectorType = TypeVar("_SelectorType", bound=type[Selector])


def register(name: str) -> Callable[[_SelectorType], _SelectorType]:
    """Class decorator that makes a selector available under a name.

    Raises
    ------
    ValueError
        If the name is taken, or the class is not a selector.
    """

    def decorate(cls: _SelectorType) -> _SelectorType:
        if name in _SELECTORS:
            raise ValueError(f"selector {name!r} is already registered ({_SELECTORS[name]})")
        _check_class(name, cls)
        cls.name = name
        _SELECTORS[name] = cls
        return cls

    return decorate


def selector_names() -> list[str]:
    """Sorted names of all selectors, those of other packages included."""
    return sorted(_SELECTORS.keys() | _entry_points().keys())


def selector_class(name: str) -> type[Selector]:
    """Class of a selector.

    Raises
    ------
    SparseError
        If there is no such selector, or another package's cannot be imported.
    """
    if name not in _SELECTORS:
        found = _entry_points().get(name)
        if found is None:
            known = ", ".join(selector_names())
            raise SparseError(f"unknown selector {name!r}, choose from {known}")
        try:
            loaded = found.load()
            if name not in _SELECTORS:  # its module may use the decorator
                register(name)(loaded)
        except Exception as error:  # importing other packages' code may raise anything
            raise SparseError(
                f"selector {name!r} of {found.value} cannot be loaded: {error}"
            ) from error
    return _SELECTORS[name]


def first_selector_names() -> list[str]:
    """Sorted names of the selectors that need no trained network.

    Those of other packages that have not been loaded are among them.
    """
    asking = {name for name, cls in _SELECTORS.items() if cls.asks_network()}
    return [name for name in selector_names() if name not in asking]


def refuse_without_network(name: str) -> None:
    """Refuse a selector that asks a trained network where there is none yet.

    Raises
    ------
    SparseError
        If it does, or there is no such selector.
    """
    if selector_class(name).asks_network():
        raise SparseError(
            f"selector {name} asks a network that was trained on what is annotated already: choose "
            f"the first slices by another one ({', '.join(first_selector_names())}), train, then "
            "go on with nnsparse_extend --model, or nnsparse_worklist extend --model"
        )


def get_selector(name: str, parameters: Mapping[str, Any] | None = None) -> Selector:
    """Make a selector by its name.

    Parameters
    ----------
    name
        Its name.
    parameters
        Parameters that differ from their defaults.

    Raises
    ------
    SparseError
        If there is no such selector or parameter, or a value is out of range.
    """
    cls = selector_class(name)
    for key, value in (parameters or {}).items():
        _check_known(cls, key)
        text = str(value)
        if not _PARAMETER_TEXT.fullmatch(text):
            raise SparseError(
                f"parameter {key} of selector {name!r} may hold letters, digits, '.', '+' and '-' "
                f"only, got {text!r}"
            )
    try:
        return cls(**(parameters or {}))
    except (TypeError, ValueError) as error:
        raise SparseError(f"selector {name!r}: {error}") from error


def parse_parameters(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """Parameters of a selector from a command line, as in ``clusters=5``.

    The type of a value is that of the parameter's default.

    Raises
    ------
    SparseError
        If a text has no ``=``, the parameter is unknown, or the value is of another type.
    """
    return Assignments(
        partial(_parameter_rule, selector_class(name)),
        "a parameter is given as key=value (clusters=5)",
        f"parameter {{key}} of selector {name!r}",
    ).read_once(texts)


def _parameter_rule(cls: type[Selector], key: str) -> Rule:
    """Rule of a parameter: the type of its default; the selector itself checks the range."""
    _check_known(cls, key)
    default = get_selector(cls.name).parameters[key]
    read = _read_switch if isinstance(default, bool) else None
    return Rule(type(default), lambda _: True, repr(default), "is like", read)


def _read_switch(text: str) -> bool:
    if text.lower() not in _BOOL:
        raise ValueError(text)
    return _BOOL[text.lower()]


def _check_known(cls: type[Selector], key: str) -> None:
    known = sorted(field.name for field in fields(cls))
    if key not in known:
        choice = f"it has {', '.join(known)}" if known else "it has none"
        raise SparseError(f"selector {cls.name!r} has no parameter {key!r}; {choice}")


def _check_class(name: str, cls: object) -> None:
    if not (isinstance(cls, type) and issubclass(cls, Selector) and is_dataclass(cls)):
        raise ValueError(f"selector {name!r} must be a dataclass derived from Selector, got {cls}")
    for field in fields(cls):
        if type(field.default) not in _PARAMETER_TYPES:
            raise ValueError(
                f"parameter {field.name!r} of selector {name!r} needs a default of type "
                f"{', '.join(kind.__name__ for kind in _PARAMETER_TYPES)}"
            )
    if unknown := cls.uses - INPUTS:
        raise ValueError(f"selector {name!r} uses {min(unknown)!r}, there is {sorted(INPUTS)}")
    if not cls.scopes or set(cls.scopes) - set(SCOPES):
        raise ValueError(f"selector {name!r} has scopes {cls.scopes}, there are {SCOPES}")


@cache  # the metadata of all that is installed is read for them
def _entry_points() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
