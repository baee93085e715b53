"""What an experiment asks for beside what has been scored, so that what is missing can be shown.

A *cell* is what trainings have in common that differ in their repeat alone. A *panel* is one task
that is trained in one way: its cells, and the results of those that are done.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from nnunet_sparse.grid.cells import DENSE, PARTNER, SPARSE, Training
from nnunet_sparse.grid.experiment import Experiment, Grid
from nnunet_sparse.grid.jobs import ScoreJob, job_graph, jobs_of
from nnunet_sparse.grid.results import Result
from nnunet_sparse.selection.variant import Variant


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
    rho, s, selector, scope, positive_weight, interpolation, seed
        Factors of the variant; ``interpolation`` is empty for none.
    """

    task: str
    configuration: str
    trainer: str
    plans: str
    kind: str
    rho: float
    s: float
    selector: str
    scope: str
    positive_weight: float
    interpolation: str
    seed: int

    @classmethod
    def of_result(cls, result: Result) -> "Cell":
        """Cell that a result belongs to."""
        return cls(**{item.name: getattr(result, item.name) for item in fields(cls)})

    @classmethod
    def of_training(cls, training: Training) -> "Cell":
        """Cell that a training belongs to."""
        variant, way = training.of.variant, training.configuration
        return cls(
            task=training.of.base.suffix,
            configuration=way.configuration,
            trainer=way.trainer,
            plans=training.plans,
            kind=training.of.kind,
            rho=density(variant),
            s=variant.s,
            selector=variant.selector,
            scope=variant.scope,
            positive_weight=variant.positive_weight,
            interpolation=variant.text("interpolation"),
            seed=variant.seed,
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
    trainings = [job.subject for job in jobs_of(job_graph(grid), ScoreJob)]
    cells = [Cell.of_training(training) for training in trainings]
    return [role for cell in cells for role in _roles(grid.experiment, cell)]


def _roles(experiment: Experiment, cell: Cell) -> Iterator[Cell]:
    """The cell, and what dense annotation stands for in the grid."""
    yield cell
    if cell.kind != DENSE:
        return
    filling = experiment.interpolation
    if "volume" in experiment.scopes and _holds(
        cell, experiment.rho, experiment.s, experiment.selectors
    ):
        yield replace(cell, kind=SPARSE)
    elif filling is not None and _holds(
        cell,
        filling.rho or experiment.rho,
        filling.s,
        filling.selectors or experiment.selectors,
    ):
        yield replace(cell, kind=PARTNER)


def _holds(cell: Cell, rho: Sequence[float], s: Sequence[float], selectors: Sequence[str]) -> bool:
    return cell.rho in rho and cell.s in s and cell.selector in selectors


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


def having(cells: Iterable[Cell], **factors: Any) -> list[Cell]:
    """Cells with these factors."""
    return [
        cell
        for cell in cells
        if all(getattr(cell, name) == value for name, value in factors.items())
    ]


def levels(items: Iterable[Any], factor: str) -> list[Any]:
    """Values of a factor of cells or results, ascending."""
    return sorted({getattr(item, factor) for item in items})


def varying(items: Sequence[Any], *factors: str) -> tuple[str, ...]:
    """Those of the factors of cells or results that have more than one value."""
    return tuple(factor for factor in factors if len(levels(items, factor)) > 1)


def grouped(cells: Iterable[Cell], *factors: str) -> dict[tuple[Any, ...], list[Cell]]:
    """Cells by the values of some factors, ascending."""
    found: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(tuple(getattr(cell, factor) for factor in factors), []).append(cell)
    return dict(sorted(found.items()))


def pooled_over(cells: Sequence[Cell], *factors: str) -> str:
    """What a mean is taken over, as ``selectors, seeds and repeats``."""
    names = [f"{factor}s" for factor in varying(cells, *factors)]
    return " and ".join([", ".join(names), "repeats"]) if names else "repeats"


def density(variant: Variant) -> float:
    """Density of a variant, which those of an experiment have.

    Raises
    ------
    ValueError
        If its budget is a number of slices.
    """
    if variant.rho is None:
        raise ValueError(f"a variant of an experiment has a density, got {variant.slices}")
    return variant.rho
