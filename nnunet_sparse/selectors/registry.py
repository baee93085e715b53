"""What a selector is, and how it is found by name.

A selector is a frozen dataclass; its fields are its parameters. Other packages add theirs through
the entry point group ``nnunet_sparse.selectors``: the entry point's name is the selector's, its
value the class.
"""

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.weights import strata
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.schema import Assignments, Rule

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "nnunet_sparse.selectors"
SCOPES = ("volume", "dataset")
_INPUTS = frozenset({"weights", "features", "classes", "objects"})
_OF_LABELS = frozenset({"classes", "objects"})

_PARAMETER_TYPES = (bool, int, float, str)
_BOOL = {"true": True, "1": True, "false": False, "0": False}
# they become part of the names of folders
_PARAMETER_TEXT = re.compile(r"[A-Za-z0-9.+-]+")

_SELECTORS: dict[str, type["Selector"]] = {}
_SelectorType = TypeVar("_SelectorType", bound=type["Selector"])


@dataclass(frozen=True)
class Selector(ABC):
    """Strategy that chooses which slices are annotated.

    A subclass implements ``_choose``, names what it looks at in ``uses`` and its publication in
    ``source``. The first line of its docstring is shown by ``--list_selectors``.
    """

    name: ClassVar[str]
    """Name in commands, data set names and files; set by :func:`register`."""

    uses: ClassVar[frozenset[str]] = frozenset()
    """Fields of the pool that it looks at, besides the number of slices.

    One that does not look at weights gets the slices of each weight as a pool of their own.
    """

    scopes: ClassVar[tuple[str, ...]] = SCOPES
    """Whether it chooses within each volume (``volume``) and from all at once (``dataset``)."""

    source: ClassVar[str] = ""
    """Where it was published."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Its parameters, by name."""
        return asdict(self)

    def select(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Choose slices that are not annotated yet.

        Parameters
        ----------
        pool
            The slices. What the selector uses must be there (weights need not).
        budget
            Number of slices to choose, from 1 to the number of slices that are not annotated.
        rng
            Source of randomness; the only one used.

        Returns
        -------
        np.ndarray, shape (budget,), int64
            Positions in the pool, ascending, without repetition.

        Raises
        ------
        ValueError
            If the budget is out of range, something that the selector uses is missing or has
            another length than the pool, or features are not finite.
        SparseError
            If the selector itself fails, or chooses something else than it was asked for.
        """
        if not 1 <= budget <= len(pool.available):
            raise ValueError(f"budget must lie in 1..{len(pool.available)}, got {budget}")
        for needed in sorted(self.uses - {"weights"}):
            if getattr(pool, needed) is None:
                raise ValueError(f"selector {self.name!r} needs {needed}")
        for given in ("weights", "features", "classes"):
            values = getattr(pool, given)
            if values is not None and len(values) != pool.size:
                raise ValueError(f"{len(values)} {given} for {pool.size} slices")
        used = pool.features if "features" in self.uses else None
        if used is not None and not np.isfinite(used).all():
            raise ValueError("features must be finite numbers")
        try:
            found = self._choose_by_weight(pool, budget, rng)
            chosen = np.sort(np.asarray(found, dtype=np.int64).ravel())
        except SparseError:
            raise
        except Exception as error:  # of other packages' code, which may raise anything
            reason = f"{type(error).__name__}: {error}"
            raise SparseError(f"selector {self.name!r} failed: {reason}") from error
        for wrong, what in (
            (len(chosen) != budget, f"{len(chosen)} slices instead of {budget}"),
            ((np.diff(chosen) < 1).any(), "a slice twice"),
            (not np.isin(chosen, pool.available).all(), "slices that are not available"),
        ):
            if wrong:
                raise SparseError(f"selector {self.name!r} is faulty: it chose {what}")
        return chosen

    def _choose_by_weight(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Choose from each stratum of equal weight, unless the selector looks at weights itself."""
        if pool.weights is None or "weights" in self.uses:
            return self._choose(pool, budget, rng)
        available, weights = pool.available, pool.relative_weights
        if len(np.unique(weights[available])) == 1:
            return self._choose(replace(pool, weights=None), budget, rng)
        found = []
        for group, count in strata(weights[available], budget, rng.random()):
            # with those of its weight that are annotated
            weight = weights[available[group[0]]]
            positions = np.flatnonzero(weights == weight)
            some = np.asarray(self._choose(pool.part(positions), count, rng), dtype=np.int64)
            found.append(positions[some.ravel()])
        return np.concatenate(found)

    @abstractmethod
    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Choose ``budget`` different available positions, in any order."""

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring, without its full stop."""
        return (inspect.getdoc(cls) or "").partition("\n")[0].rstrip(".")

    @classmethod
    def looks_at_labels(cls) -> bool:
        """Whether it needs dense labels, and so serves in simulations only."""
        return bool(cls.uses & _OF_LABELS)


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
    if unknown := cls.uses - _INPUTS:
        raise ValueError(f"selector {name!r} uses {min(unknown)!r}, there is {sorted(_INPUTS)}")
    if not cls.scopes or set(cls.scopes) - set(SCOPES):
        raise ValueError(f"selector {name!r} has scopes {cls.scopes}, there are {SCOPES}")


def _entry_points() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
