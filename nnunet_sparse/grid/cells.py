"""The cells of an experiment: which variants there are, and how each is trained."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from nnunet_sparse.data.dataset_name import find_dataset, names_with_suffix, parse_dataset_name
from nnunet_sparse.grid.cell_kinds import DENSE, INTERPOLATED, PARTNER, ROUND, SPARSE
from nnunet_sparse.grid.configuration import Configuration, plans_name
from nnunet_sparse.grid.exclusion import Exclusion
from nnunet_sparse.grid.experiment import Experiment, Task
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.taught_cells import round_variants, taught
from nnunet_sparse.planners.planner_classes import with_scale
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError


@dataclass(frozen=True)
class Base:
    """A base data set of an experiment.

    Attributes
    ----------
    task
        What the file says of it.
    suffix
        Its name without ``DatasetXXX_``.
    name
        Full name; None for a phantom that has not been made.
    """

    task: Task
    suffix: str
    name: str | None


@dataclass(frozen=True)
class CellVariant:
    """A variant, and why it is part of the experiment.

    Attributes
    ----------
    base
        Its base.
    variant
        Its factors.
    kind
        ``dense``: the reference; ``sparse``: of the grid; ``interpolated``: with interpolated
        labels; ``partner``: the same slices without interpolation, where the grid does not have
        them; ``round``: annotated in rounds, or the first choice of such a cell.
    """

    base: Base
    variant: Variant
    kind: str

    @property
    def suffix(self) -> str:
        """Name of its data set without ``DatasetXXX_``."""
        return self.variant.dataset_suffix(self.base.suffix)

    @property
    def sparse(self) -> "CellVariant":
        """The variant whose labels are interpolated."""
        return replace(self, variant=replace(self.variant, interpolation=None), kind=SPARSE)

    @property
    def source(self) -> "CellVariant | None":
        """The variant that its data set is made from; None where that is the base."""
        if self.variant.interpolation is not None:
            return self.sparse
        return None if self.variant.rounds is None else replace(self, variant=self.variant.before)

    @property
    def num_before(self) -> int:
        """How many trainings come before one of it, one after the other."""
        return int(self.teacher != "") + (0 if self.source is None else self.source.num_before)

    @property
    def teacher(self) -> str:
        """Name of the networks that its data set is made by; empty where none are needed."""
        if self.variant.interpolation is not None:
            return self.variant.interpolation.teacher
        return "" if self.variant.rounds is None else self.variant.rounds.teacher


@dataclass(frozen=True)
class Training:
    """One training: a repeat of a variant with a configuration."""

    of: CellVariant
    configuration: Configuration
    plans: str
    repeat: int

    @property
    def key(self) -> str:
        """Name of its files."""
        c = self.configuration
        parts = (self.of.suffix, c.configuration, c.trainer, self.plans, str(self.repeat))
        return "__".join(parts)


def bases(grid: Grid) -> list[Base]:
    """Base of every task.

    Raises
    ------
    SparseError
        If a base does not exist, or two tasks have the same.
    """
    found: dict[str, Base] = {}
    for task in grid.experiment.tasks:
        base = _base(grid, task)
        if base.suffix in found:
            grid.fail(
                task.line,
                f"two tasks have a base called {base.suffix}; data sets of the grid are named "
                "after their base",
            )
        found[base.suffix] = base
    return list(found.values())


def _base(grid: Grid, task: Task) -> Base:
    if task.phantom is not None:
        names = names_with_suffix(grid.paths.raw, task.phantom.suffix)
        return Base(task, task.phantom.suffix, names[0] if len(names) == 1 else None)
    try:
        name = find_dataset(grid.paths, task.base)
    except SparseError as error:
        grid.fail(task.line, str(error))
    return Base(task, parse_dataset_name(name)[1], name)


def variants(experiment: Experiment, base: Base) -> list[CellVariant]:
    """All variants of a base for which a data set is made, the reference first; none twice.

    They are those that are trained in any way, and what of them is interpolated.
    """
    found: dict[str, CellVariant] = {}
    for way in ways_of(experiment, base):
        for cell in trained_variants(experiment, base, way):
            if cell.variant.interpolation is not None:
                found.setdefault(cell.sparse.suffix, cell.sparse)
            found.setdefault(cell.suffix, cell)
    return list(found.values())


def ways_of(experiment: Experiment, base: Base) -> tuple[Configuration, ...]:
    """How the variants of a base are trained."""
    return base.task.configurations or experiment.configurations


def trained_variants(experiment: Experiment, base: Base, way: Configuration) -> list[CellVariant]:
    """Variants that are trained in one way, the reference first; none twice."""
    found: dict[str, CellVariant] = {}
    for cell in _planned(experiment, base, way):
        found.setdefault(cell.suffix, cell)
    return list(found.values())


def kinds_of_variants(
    experiment: Experiment, base: Base, way: Configuration
) -> dict[Variant, list[str]]:
    """All kinds of which a variant is a cell: dense annotation may be of the grid as well."""
    found: dict[Variant, list[str]] = {}
    for cell in _planned(experiment, base, way):
        kinds = found.setdefault(cell.variant, [])
        if cell.kind not in kinds:
            kinds.append(cell.kind)
    return found


def left_out_variants(experiment: Experiment, base: Base, way: Configuration) -> list[CellVariant]:
    """Cells of the experiment that are not trained in one way, since the file excludes them.

    A way or task that has densities or volume fractions of its own excludes all others.
    """
    planned = kinds_of_variants(experiment, base, way)
    found: dict[tuple[str, Variant], CellVariant] = {}
    every = [
        *_combinations(experiment, base, way, lambda _: True, *_own(base, way)),
        *_combinations(experiment, base, way, lambda _: True),
    ]
    for cell in every:
        kinds = planned.get(cell.variant, [])
        # the same slices without interpolation may be a cell of the grid, or be left out as one
        is_there = bool(kinds) if cell.kind == PARTNER else cell.kind in kinds
        if not is_there and not (cell.kind == PARTNER and (SPARSE, cell.variant) in found):
            found.setdefault((cell.kind, cell.variant), cell)
    return list(found.values())


def is_excluding(
    experiment: Experiment, base: Base, way: Configuration, exclusion: Exclusion
) -> bool:
    """Whether any cell would be trained in some way if this did not exclude it."""
    rho, s = _own(base, way)
    cells = _combinations(experiment, base, way, lambda _: True, rho, s)
    return any(cell.kind != DENSE and exclusion.covers(cell.variant, way) for cell in cells)


def _planned(experiment: Experiment, base: Base, way: Configuration) -> Iterator[CellVariant]:
    """Cells that are trained in one way, some more than once."""
    exclusions = (*experiment.exclude, *base.task.exclude)

    def keeps(variant: Variant) -> bool:
        return not any(exclusion.covers(variant, way) for exclusion in exclusions)

    yield from _combinations(experiment, base, way, keeps, *_own(base, way))
    for variant in round_variants(experiment, way):
        yield CellVariant(base, variant, ROUND)


def _own(base: Base, way: Configuration) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Densities and volume fractions in place of the experiment's."""
    return way.rho or base.task.rho, way.s or base.task.s


def _combinations(
    experiment: Experiment,
    base: Base,
    way: Configuration,
    keeps: Callable[[Variant], bool],
    rho: Sequence[float] = (),
    s: Sequence[float] = (),
) -> Iterator[CellVariant]:
    """Cells that are kept; what is not interpolated is not compared with interpolation."""
    if experiment.dense:
        yield CellVariant(base, Variant(1.0, 1.0, "fixed", seed=experiment.seeds[0]), DENSE)
    for variant in experiment.variants(None, rho, s):
        if keeps(variant):
            yield CellVariant(base, variant, SPARSE)
    filling = experiment.interpolation
    for plain in filling.interpolations if filling is not None else ():
        interpolation = taught(plain, experiment, way, ways_of(experiment, base))
        for variant in experiment.variants(filling, rho, s):
            sparse = replace(variant, positive_weight=base.task.positive_weight)
            filled = replace(sparse, interpolation=interpolation)
            if keeps(filled):
                if keeps(sparse):
                    yield CellVariant(base, sparse, PARTNER)
                yield CellVariant(base, filled, INTERPOLATED)


def configurations(grid: Grid, base: Base) -> list[tuple[Configuration, str]]:
    """How the variants of a base are trained, each with the name of its plans.

    Raises
    ------
    SparseError
        If the same plans are to have different contents, or a training appears twice.
    """
    found: list[tuple[Configuration, str]] = []
    contents: dict[str, tuple[object, ...]] = {}
    for configuration in ways_of(grid.experiment, base):
        try:
            planner = with_scale(configuration.planner, configuration.scale)
        except SparseError as error:
            grid.fail_at(configuration, "scale", str(error).removeprefix("--"))
        try:
            plans = plans_name(configuration)
        except SparseError as error:
            grid.fail_at(configuration, "planner", str(error))
        content = (planner, configuration.settings)
        if contents.setdefault(plans, content) != content:
            grid.fail(
                configuration.line,
                f"configurations with different planners or settings share the plans {plans}; give "
                "one of them a name of its own with plans: NAME",
            )
        way = (configuration.configuration, configuration.trainer, plans)
        if way in {(other.configuration, other.trainer, name) for other, name in found}:
            grid.fail(
                configuration.line,
                f"{configuration.configuration} with {configuration.trainer} and the plans {plans} "
                "appears twice",
            )
        found.append((configuration, plans))
    return found
