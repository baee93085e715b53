"""What a selector is, and how it is found by name."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeVar

import numpy as np

from nnunet_sparse.errors import SparseError

_SELECTORS: dict[str, type["Selector"]] = {}
_SelectorType = TypeVar("_SelectorType", bound=type["Selector"])


class Selector(ABC):
    """Strategy that chooses which slices of a volume are annotated."""

    name: ClassVar[str]
    """Name in commands, data set names and files; set by :func:`register`."""

    uses_weights: ClassVar[bool] = False
    """Whether :meth:`select` takes per-slice weights into account."""

    def select(
        self,
        num_slices: int,
        budget: int,
        rng: np.random.Generator,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Choose which slices of one volume are annotated.

        Parameters
        ----------
        num_slices
            Length of the volume's slice axis.
        budget
            Number of slices to choose, 1 <= budget <= num_slices.
        rng
            Source of randomness; the only one used.
        weights
            shape (num_slices,), how likely each slice is drawn relative to the others; None for
            equal weights.

        Returns
        -------
        np.ndarray, shape (budget,), int64
            Slice indices, ascending, without repetition.

        Raises
        ------
        ValueError
            If the budget is out of range, or weights are given to a selector that ignores them.
        """
        if not 1 <= budget <= num_slices:
            raise ValueError(f"budget must lie in 1..{num_slices}, got {budget}")
        if weights is not None and not self.uses_weights:
            raise ValueError(f"selector {self.name!r} does not take weights")
        chosen = self._choose(num_slices, budget, rng, weights)
        return np.sort(np.asarray(chosen, dtype=np.int64))

    @abstractmethod
    def _choose(
        self,
        num_slices: int,
        budget: int,
        rng: np.random.Generator,
        weights: np.ndarray | None,
    ) -> np.ndarray:
        """Choose ``budget`` different slices, in any order."""


def register(name: str) -> Callable[[_SelectorType], _SelectorType]:
    """Class decorator that makes a selector available under a name.

    Raises
    ------
    ValueError
        If the name is taken.
    """

    def decorate(cls: _SelectorType) -> _SelectorType:
        if name in _SELECTORS:
            raise ValueError(f"selector {name!r} is already registered ({_SELECTORS[name]})")
        cls.name = name
        _SELECTORS[name] = cls
        return cls

    return decorate


def selector_names() -> list[str]:
    """Sorted names of all selectors."""
    return sorted(_SELECTORS)


def get_selector(name: str) -> Selector:
    """Make a selector by its name.

    Raises
    ------
    SparseError
        If there is no such selector.
    """
    if name not in _SELECTORS:
        raise SparseError(f"unknown selector {name!r}, choose from {', '.join(selector_names())}")
    return _SELECTORS[name]()
