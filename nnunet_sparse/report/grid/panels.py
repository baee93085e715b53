"""What an experiment asks for beside what has been scored, so that what is missing can be shown.

A *panel* is one task that is trained in one way: a table of its trainings, done or not. Trainings
that differ in their repeat alone are a *cell*.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import pandas as pd

from nnunet_sparse.grid.cells import DENSE, PARTNER, SPARSE, Training, kinds_of_variants
from nnunet_sparse.grid.jobs import ScoreJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.results import METRICS, Result
from nnunet_sparse.report.grid.factor_columns import having, with_factors
from nnunet_sparse.selection.variant import Variant

_PANEL = ("task", "configuration", "trainer", "plans")
_NUMBERS = ("num_slices", *METRICS)


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
    """

    task: str
    configuration: str
    trainer: str
    plans: str
    repeat: int
    kind: str
    variant: Variant

    @classmethod
    def of_result(cls, result: Result) -> "AskedTraining":
        """Training that a result is of."""
        return cls(**{item.name: getattr(result, item.name) for item in fields(cls)})

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
    """

    title: str
    task: str
    configuration: str
    trainings: pd.DataFrame

    @property
    def dimensions(self) -> str:
        """``2D`` or ``3D``."""
        return "2D" if self.configuration.startswith("2d") else "3D"

    @property
    def results(self) -> list[Result]:
        """What has been scored."""
        return self.trainings["result"].dropna().tolist()

    def of_kind(self, kind: str) -> pd.DataFrame:
        """Trainings of one kind."""
        return having(self.trainings, kind=kind)


def trainings_of_kind(shown: Sequence[Panel], kind: str) -> pd.DataFrame:
    """Trainings of one kind in all of some panels."""
    return pd.concat([panel.of_kind(kind) for panel in shown])


def asked_trainings(grid: Grid) -> list[AskedTraining]:
    """Every training that an experiment asks for.

    Raises
    ------
    SparseError
        If bases do not exist or configurations contradict each other.
    """
    found: list[AskedTraining] = []
    kinds: dict[str, dict[Variant, list[str]]] = {}
    for job in jobs_of(job_graph(grid), ScoreJob):
        training, base = AskedTraining.of_training(job.subject), job.subject.of.base
        if base.suffix not in kinds:
            kinds[base.suffix] = kinds_of_variants(grid.experiment, base)
        own_kinds = kinds[base.suffix][training.variant]
        also = [other for other in _also(training) if other.kind in own_kinds]
        found += [training, *also[:1]]
    return found


def _also(training: AskedTraining) -> list[AskedTraining]:
    """What dense annotation may stand for in the grid, or beside interpolated labels."""
    kinds = (SPARSE, PARTNER) if training.kind == DENSE else ()
    return [replace(training, kind=kind) for kind in kinds]


def panels(results: Iterable[Result], asked: Iterable[AskedTraining] = ()) -> list[Panel]:
    """Results by task and way of training, in the order in which they are asked for.

    Parameters
    ----------
    results
        One result of each training, or of each of its labels.
    asked
        Every training that is asked for; by default nothing but the results.
    """
    wanted = dict.fromkeys(asked)
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
    columns = [*(item.name for item in fields(Result)), "result"]
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    table = with_factors(table.astype(dict.fromkeys(_NUMBERS, float)))
    of_panels = {
        tuple(map(str, key)): trainings
        for key, trainings in table.groupby(list(_PANEL), sort=False)
    }
    return [
        Panel(_title(key, list(of_panels)), key[0], key[1], trainings)
        for key, trainings in of_panels.items()
    ]


def _title(key: tuple[str, ...], keys: Sequence[tuple[str, ...]]) -> str:
    """Task and configuration, and what else tells a panel from the others."""
    task, configuration, trainer, plans = key
    title = f"{task}, {configuration}"
    if sum(other[:2] == key[:2] for other in keys) > 1:
        title += f", {trainer}"
    if sum(other[:3] == key[:3] for other in keys) > 1:
        title += f", {plans}"
    return title
