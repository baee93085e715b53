"""How a cell of an experiment came to its slices in rounds, and names of what was made so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from nnunet_sparse.selection.budget import Budget
from nnunet_sparse.system.atomic import json_digest

_DIGEST_LENGTH = 6
# sums of densities
_DECIMALS = 9


class Choice(Protocol):
    """How many slices are chosen, and how; what is needed here of a variant."""

    @property
    def rho(self) -> float | None:
        """Density."""

    @property
    def selector(self) -> str:
        """Name of the selector."""

    @property
    def amount(self) -> Budget:
        """How many slices."""

    def same_but(self, *left_out: str) -> tuple[object, ...]:
        """Values of all factors but some."""

    def to_json(self) -> dict[str, Any]:
        """Factors."""


Variant = TypeVar("Variant", bound=Choice)


@dataclass(frozen=True)
class RoundPath(Generic[Variant]):
    """What came before the slices that a variant annotates.

    Attributes
    ----------
    first
        The first choice, a variant with a density.
    add
        Share of the slices that each later round adds.
    number
        Rounds so far, the first choice included; at least 2.
    teacher
        Which networks are asked, of a selector that asks some: a name that is known before they
        are trained.
    """

    first: Variant
    add: float
    number: int
    teacher: str = ""

    def density(self, number: int | None = None) -> float:
        """Share of the slices that is annotated after some rounds, by default all of them."""
        assert self.first.rho is not None
        later = (self.number if number is None else number) - 1
        return min(1.0, round(self.first.rho + self.add * later, _DECIMALS))

    @property
    def text(self) -> str:
        """As tables have it: the same for everything that goes the same way so far."""
        return f"{self.number} ({self.first.selector} {self.first.rho:g} + {self.add:g})"

    def same_but(self, *left_out: str) -> tuple[object, ...]:
        """As :meth:`Variant.same_but`, which gets it."""
        return self.first.same_but(*left_out), self.add, self.number, self.teacher

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "first": self.first.to_json(),
            "add": self.add,
            "number": self.number,
            "teacher": self.teacher,
        }


def asked_of_round(added: Choice, network: str | None) -> dict[str, Any]:
    """What a round was asked for: equal for those that add the same slices to the same ones.

    Parameters
    ----------
    added
        How many slices were added, and how they were chosen.
    network
        Which network was asked: its hash, or the name of those that an experiment has trained.
    """
    return {"variant": added.to_json(), "network": network}


def extended_suffix(
    first: str, asked: Sequence[Mapping[str, Any]], last: Choice, teacher: str = ""
) -> str:
    """Name of a data set to which slices were added, without ``DatasetXXX_``.

    Parameters
    ----------
    first
        That of the first choice.
    asked
        What each round was asked for, see :func:`asked_of_round`.
    last
        What the last one added.
    teacher
        Networks that an experiment has trained for it; the name shows them without their hash.
    """
    digest = json_digest(list(asked), _DIGEST_LENGTH)
    parts = [first, f"r{len(asked) + 1}", last.amount.name, last.selector]
    parts += [teacher.rpartition("_")[0]] if teacher else []
    return "_".join([*parts, digest])
