"""What an experiment asks for beside what has been scored, so that what is missing can be shown.

A *cell* is what trainings have in common that differ in their repeat alone. A *panel* is one task
that is trained in one way: its cells, and the results of those that are done.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from nnunet_sparse.grid.cells import DENSE, PARTNER, SPARSE, Training, kinds_of_variants
from nnunet_sparse.grid.jobs import ScoreJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.results import Result
from nnunet_sparse.selection.budget import AMOUNT, Budget
from nnunet_sparse.selection.variant import (
    FACTORS,
    WAY_OF_CHOOSING,
    Variant,
    factor_title,
)


@dataclass(frozen=True)
class Cell:
    """What repeats of a training have in common; the attributes are those of results.

    Attributes
    ----------
    task
        Name of the base without ``DatasetXXX_``.
    configuration, trainer, plans
        How it is trained.
    kind
        As of :class:`nnunet_sparse.grid.cells.CellVariant`.
    variant
        Its factors.
    """

    task: str
    configuration: str
    trainer: str
    plans: str
    kind: str
    variant: Variant

    @classmethod
    def of_result(cls, result: Result) -> "Cell":
        """Cell that a result belongs to."""
        return cls(**{item.name: getattr(result, item.name) for item in fields(cls)})

    @classmethod
    def of_training(cls, training: Training) -> "Cell":
        """Cell that a training belongs to."""
        way = training.configuration
        return cls(
            task=training.of.base.suffix,
            configuration=way.configuration,
            trainer=way.trainer,
            plans=training.plans,
            kind=training.of.kind,
            variant=training.of.variant,
        )


@dataclass(frozen=True)
class Panel:
    """One task, trained in one way.

    Attributes
    ----------
    title
        What tells it from other panels.
    task, configuration
        Its task, and the configuration by which it is trained.
    results
        What has been scored. Dense annotation that is a cell of the grid as well (all slices of
        all volumes at fixed intervals) is there twice, as ``dense`` and as ``sparse``.
    asked
        Cell of every training that is asked for, once for each repeat.
    """

    title: str
    task: str
    configuration: str
    results: tuple[Result, ...]
    asked: tuple[Cell, ...]

    @property
    def dimensions(self) -> str:
        """``2D`` or ``3D``."""
        return "2D" if self.configuration.startswith("2d") else "3D"

    @cached_property
    def _scored(self) -> dict["Cell", list[Result]]:
        found: dict[Cell, list[Result]] = {}
        for result in self.results:
            found.setdefault(Cell.of_result(result), []).append(result)
        return found

    def results_of(self, cells: Iterable["Cell"]) -> list[Result]:
        """What has been scored of some cells, which may be named several times."""
        return [r for cell in dict.fromkeys(cells) for r in self._scored.get(cell, ())]


def asked_cells(grid: Grid) -> list[Cell]:
    """Cell of every training that an experiment asks for, once for each repeat.

    Raises
    ------
    SparseError
        If bases do not exist or configurations contradict each other.
    """
    found: list[Cell] = []
    kinds: dict[str, dict[Variant, list[str]]] = {}
    for job in jobs_of(job_graph(grid), ScoreJob):
        cell, base = Cell.of_training(job.subject), job.subject.of.base
        if base.suffix not in kinds:
            kinds[base.suffix] = kinds_of_variants(grid.experiment, base)
        found += [cell, *_also(cell, kinds[base.suffix][cell.variant])]
    return found


def _also(cell: Cell, kinds: Sequence[str]) -> list[Cell]:
    """What dense annotation stands for in the grid, or beside interpolated labels."""
    if cell.kind != DENSE:
        return []
    return [replace(cell, kind=kind) for kind in (SPARSE, PARTNER) if kind in kinds][:1]


def panels(results: Iterable[Result], asked: Iterable[Cell] = ()) -> list[Panel]:
    """Results by task and way of training, in the order in which they are asked for.

    Parameters
    ----------
    results
        One result of each training, or of each of its labels.
    asked
        Cell of every training that is asked for; by default nothing but the results.
    """
    cells: dict[tuple[str, ...], list[Cell]] = {}
    scored: dict[tuple[str, ...], list[Result]] = {}
    for cell in asked:
        cells.setdefault(_key(cell), []).append(cell)
    wanted = {cell for group in cells.values() for cell in group}
    others: set[tuple[Cell, int]] = set()
    for result in results:
        own = Cell.of_result(result)
        if own not in wanted and (own, result.repeat) not in others:
            others.add((own, result.repeat))
            cells.setdefault(_key(own), []).append(own)
        roles = [kind for kind in (SPARSE, PARTNER) if replace(own, kind=kind) in wanted]
        also = [replace(result, kind=kind) for kind in roles] if own.kind == DENSE else []
        scored.setdefault(_key(own), []).extend([result, *also])
    return [
        Panel(_title(key, list(cells)), key[0], key[1], tuple(scored.get(key, ())), tuple(group))
        for key, group in cells.items()
    ]


def _key(cell: Cell) -> tuple[str, ...]:
    return cell.task, cell.configuration, cell.trainer, cell.plans


def _title(key: tuple[str, ...], keys: Sequence[tuple[str, ...]]) -> str:
    """Task and configuration, and what else tells a panel from the others."""
    task, configuration, trainer, plans = key
    title = f"{task}, {configuration}"
    if sum(other[:2] == key[:2] for other in keys) > 1:
        title += f", {trainer}"
    if sum(other[:3] == key[:3] for other in keys) > 1:
        title += f", {plans}"
    return title


def factor(item: object, name: str) -> Any:
    """A factor of the variant of a cell, result or mask quality, or another attribute.

    ``amount`` is how much is annotated, ``way`` by what slices are chosen.
    """
    variant = getattr(item, "variant", None)
    if isinstance(variant, Variant):
        if name == "amount":
            return variant.amount
        if name == "way":
            return variant.way_of_choosing
        if name in FACTORS:
            return variant.value(name)
    return getattr(item, name)


def title_of(name: str) -> str:
    """Name of a factor for people."""
    return "selector" if name == "way" else factor_title(name)


def having(cells: Iterable[Cell], **factors: Any) -> list[Cell]:
    """Cells with these factors."""
    return [
        cell
        for cell in cells
        if all(factor(cell, name) == value for name, value in factors.items())
    ]


def levels(items: Iterable[object], name: str) -> list[Any]:
    """Values of a factor of cells or results, ascending."""
    return sorted({factor(item, name) for item in items}, key=_order)


def _order(value: float | str | Budget | None) -> tuple[object, ...]:
    """What values are sorted by: kinds of amounts, then what is not there, then the rest."""
    if isinstance(value, Budget):
        return value.order
    return (value is not None, value)


def varying(items: Sequence[object], *names: str) -> tuple[str, ...]:
    """Those of the factors of cells or results that have more than one value."""
    return tuple(name for name in names if len(levels(items, name)) > 1)


def other_factors(items: Sequence[object], *left_out: str) -> tuple[str, ...]:
    """Factors that vary, besides amount, volume fraction and some others."""
    names = ("way", *FACTORS[FACTORS.index(WAY_OF_CHOOSING[-1]) + 1 :])
    return varying(items, *(name for name in names if name not in left_out))


def amounts(items: Iterable[object]) -> tuple[str, ...]:
    """Factors by which it is said how much is annotated; most often ``rho`` alone."""
    kinds = {amount.kind for amount in levels(items, "amount")}
    return tuple(name for name in AMOUNT if name in kinds)


def grouped(cells: Iterable[Cell], *names: str) -> dict[tuple[Any, ...], list[Cell]]:
    """Cells by the values of some factors, ascending."""
    found: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(tuple(factor(cell, name) for name in names), []).append(cell)
    return dict(sorted(found.items(), key=lambda item: [_order(value) for value in item[0]]))


def pooled_over(cells: Sequence[Cell], *names: str) -> str:
    """What a mean is taken over, as ``selectors, seeds and repeats``."""
    several = [f"{title_of(name)}s" for name in varying(cells, *names)]
    return " and ".join([", ".join(several), "repeats"]) if several else "repeats"


def selector_names(cells: Sequence[Cell]) -> dict[tuple[Any, ...], str]:
    """Names of the ways of choosing, by the factors :data:`CHOICE`.

    The scope, and the least number of slices of a volume, are in them where there are several.
    """
    names = {}
    for key, group in grouped(cells, *CHOICE).items():
        several = [group[0].variant.text(name) for name in varying(cells, "scope")]
        several += [
            f"at least {group[0].variant.min_per_volume}"
            for _ in varying(having(cells, scope="dataset"), "min_per_volume")
            if group[0].variant.scope == "dataset"
        ]
        names[key] = str(key[0]) + (f" ({', '.join(several)})" if several else "")
    return names


CHOICE = ("way", "scope", "min_per_volume")
"""Factors that say how slices are chosen."""
