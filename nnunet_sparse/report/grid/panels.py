"""What an experiment asks for beside what has been scored, so that what is missing can be shown.

A *panel* is one task that is trained in one way: a table of its trainings, done or not. Trainings
that differ in their repeat alone are a *cell*.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import cast

import pandas as pd

from nnunet_sparse.grid.cell_kinds import DENSE, PARTNER, ROUND, SPARSE
from nnunet_sparse.grid.cells import (
    Training,
    bases,
    configurations,
    kinds_of_variants,
    left_out_variants,
)
from nnunet_sparse.grid.jobs import ScoreJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.results import METRICS, Result
from nnunet_sparse.report.grid.factor_columns import with_factors
from nnunet_sparse.selection.budget import Budget
from nnunet_sparse.selection.variant import Variant

_PANEL = ("task", "configuration", "trainer", "plans")
NOT_APPLICABLE, EXCLUDED = "N/A", "not part of the experiment"
"""What stands in place of a cell that the experiment excludes, and what it means."""

COLLAPSED, COLLAPSE = "collapsed", "no voxel of the target found in any test case"
"""Mark of a training, and what it means: :attr:`nnunet_sparse.grid.results.Result.is_collapsed`."""

_NUMBERS = ("num_slices", *METRICS)


Point = tuple[float, Budget]
"""Volume fraction and amount."""


@dataclass(frozen=True)
class AskedTraining:
    """A training that is asked for; the attributes are those of results.

    Attributes
    ----------
    task
        Name of the base without ``DatasetXXX_``.
    configuration, trainer, plans, repeat
        How it is trained.
    kind
        As of :class:`nnunet_sparse.grid.cells.CellVariant`.
    variant
        Its factors.
    is_extra
        Whether it is a check beside the experiment's comparison.
    """

    task: str
    configuration: str
    trainer: str
    plans: str
    repeat: int
    kind: str
    variant: Variant
    is_extra: bool = field(default=False, compare=False)

    @property
    def panel(self) -> tuple[str, ...]:
        """What all trainings of a panel have in common."""
        return tuple(str(getattr(self, name)) for name in _PANEL)

    @classmethod
    def of_result(cls, result: Result) -> "AskedTraining":
        """Training that a result is of."""
        names = [item.name for item in fields(cls) if item.name != "is_extra"]
        return cls(**{name: getattr(result, name) for name in names})

    @classmethod
    def of_training(cls, training: Training) -> "AskedTraining":
        """The same as the grid has it."""
        way = training.configuration
        return cls(
            task=training.of.base.suffix,
            configuration=way.configuration,
            trainer=way.trainer,
            plans=training.plans,
            repeat=training.repeat,
            kind=training.of.kind,
            variant=training.of.variant,
            is_extra=way.extra,
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
    trainings
        A row for each training that is asked for, and each of its labels: the attributes of
        results, the factors (see :mod:`nnunet_sparse.report.grid.factor_columns`), and the
        ``result`` itself. What results alone know is missing where a training has not been scored.
        Dense annotation that is a cell of the grid as well (all slices of all volumes at fixed
        intervals) is there twice, as ``dense`` and as ``sparse``.
    left_out
        A row for each cell of the experiment that the file excludes from this panel, with the same
        columns.
    is_extra
        Whether it is a check beside the experiment's comparison: no part of what is said of all
        tasks.
    """

    title: str
    task: str
    configuration: str
    trainings: pd.DataFrame
    left_out: pd.DataFrame
    is_extra: bool = False

    @property
    def dimensions(self) -> str:
        """``2D`` or ``3D``."""
        return "2D" if self.configuration.startswith("2d") else "3D"

    @property
    def results(self) -> list[Result]:
        """What has been scored."""
        return self.trainings["result"].dropna().tolist()

    def of_kind(self, *kinds: str) -> pd.DataFrame:
        """Trainings of some kinds."""
        return self.trainings[self.trainings["kind"].isin(kinds)]

    def with_left_out(self, *kinds: str) -> pd.DataFrame:
        """The same, and cells that are left out: those for which ``is_left_out`` is true."""
        others = self.left_out[self.left_out["kind"].isin(kinds)]
        return pd.concat(
            [self.of_kind(*kinds).assign(is_left_out=False), others.assign(is_left_out=True)]
        )

    def left_out_points(self, kind: str) -> list[Point]:
        """Points of which every cell of one kind is left out."""
        points = points_of(self.with_left_out(kind))
        return [point for point, cell in points.items() if cell["is_left_out"].all()]


def points_of(trainings: pd.DataFrame) -> dict[Point, pd.DataFrame]:
    """Trainings by volume fraction and amount."""
    return {cast("Point", key): cell for key, cell in trainings.groupby(["s", "amount"])}


def points_in_words(points: Iterable[Point]) -> str:
    """Points by their amounts: ``rho 0.05 (s 0.125, 1), 3 each (s 1)``."""
    of_amounts: dict[Budget, list[str]] = {}
    for s, amount in sorted(points, key=lambda point: (point[1], point[0])):
        of_amounts.setdefault(amount, []).append(f"{s:g}")
    return ", ".join(
        f"{'rho ' if amount.rho is not None else ''}{amount.text} (s {', '.join(fractions)})"
        for amount, fractions in of_amounts.items()
    )


def trainings_of_kind(shown: Sequence[Panel], kind: str) -> pd.DataFrame:
    """Trainings of one kind in all of some panels."""
    return pd.concat([panel.of_kind(kind) for panel in shown])


def cells_of_kind(shown: Sequence[Panel], kind: str) -> pd.DataFrame:
    """The same, and cells that are left out."""
    return pd.concat([panel.with_left_out(kind) for panel in shown])


def asked_trainings(grid: Grid) -> list[AskedTraining]:
    """Every training that an experiment asks for.

    Raises
    ------
    SparseError
        If bases do not exist or configurations contradict each other.
    """
    found: list[AskedTraining] = []
    kinds: dict[tuple[str, ...], dict[Variant, list[str]]] = {}
    for job in jobs_of(job_graph(grid), ScoreJob):
        training, base = AskedTraining.of_training(job.subject), job.subject.of.base
        if training.panel not in kinds:
            way = job.subject.configuration
            kinds[training.panel] = kinds_of_variants(grid.experiment, base, way)
        own_kinds = kinds[training.panel][training.variant]
        also = [other for other in _also(training) if other.kind in own_kinds]
        if SPARSE in {other.kind for other in also}:  # it is compared as a cell of the grid
            also = [other for other in also if other.kind != PARTNER]
        found += [training, *also]
    return found


def left_out_cells(grid: Grid) -> list[AskedTraining]:
    """Every cell that an experiment excludes, as if it were asked for once.

    Raises
    ------
    SparseError
        As by :func:`asked_trainings`.
    """
    return [
        AskedTraining.of_training(Training(cell, way, plans, 0))
        for base in bases(grid)
        for way, plans in configurations(grid, base)
        for cell in left_out_variants(grid.experiment, base, way)
    ]


def _also(training: AskedTraining) -> list[AskedTraining]:
    """What a training may stand for besides.

    Dense annotation may be a cell of the grid, or stand beside interpolated labels; any cell may be
    the first of several rounds.
    """
    kinds = (SPARSE, PARTNER) if training.kind == DENSE else ()
    also = [replace(training, kind=kind) for kind in kinds]
    return also if training.kind == ROUND else [*also, replace(training, kind=ROUND)]


def kinds_of_cell(training: AskedTraining, wanted: Container[AskedTraining]) -> list[str]:
    """Kinds of which a training is a cell: its own, and others that are asked for."""
    return [training.kind, *(other.kind for other in _also(training) if other in wanted)]


def panels(
    results: Iterable[Result],
    asked: Iterable[AskedTraining] = (),
    left_out: Iterable[AskedTraining] = (),
) -> list[Panel]:
    """Results by task and way of training, in the order in which they are asked for.

    Parameters
    ----------
    results
        One result of each training, or of each of its labels.
    asked
        Every training that is asked for; by default nothing but the results.
    left_out
        Cells that are left out of the experiment.
    """
    wanted = dict.fromkeys(asked)
    extra = {training.panel for training in wanted if training.is_extra}
    of_training: dict[AskedTraining, list[Result]] = {}
    for result in results:
        own = AskedTraining.of_result(result)
        for training in (own, *(other for other in _also(own) if other in wanted)):
            of_training.setdefault(training, []).append(replace(result, kind=training.kind))
    rows = [
        vars(training) | (vars(result) | {"result": result} if result else {})
        for training in {**wanted, **dict.fromkeys(of_training)}
        for result in of_training.get(training, [None])
    ]
    of_panels = {
        tuple(map(str, key)): trainings
        for key, trainings in _table(rows).groupby(list(_PANEL), sort=False)
    }
    others = [cell for cell in left_out if cell.panel in of_panels]
    return [
        Panel(
            _title(key, list(of_panels), key in extra),
            key[0],
            key[1],
            trainings,
            _table([vars(cell) for cell in others if cell.panel == key]),
            key in extra,
        )
        for key, trainings in of_panels.items()
    ]


def _table(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    columns = [*(item.name for item in fields(Result)), "result"]
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    return with_factors(table.astype(dict.fromkeys(_NUMBERS, float)))


def _title(key: tuple[str, ...], keys: Sequence[tuple[str, ...]], is_extra: bool) -> str:
    """Task and configuration, and what else tells a panel from the others."""
    task, configuration, trainer, plans = key
    title = f"{task}, {configuration}"
    if sum(other[:2] == key[:2] for other in keys) > 1:
        title += f", {trainer}"
    if sum(other[:3] == key[:3] for other in keys) > 1:
        title += f", {plans}"
    return title + " (extra)" * is_extra
