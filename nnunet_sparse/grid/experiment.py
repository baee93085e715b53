"""The experiment file: which trainings there are to be.

The fields of the dataclasses are the schema of ``grid.yaml``; ``nnsparse_grid init`` writes one
with comments.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from nnunet_sparse.data.geometry import AXIS_CHOICES
from nnunet_sparse.data.split import SplitRequest
from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET, MAE_PRESETS
from nnunet_sparse.grid import file_rules as rules
from nnunet_sparse.grid.configuration import Configuration
from nnunet_sparse.grid.exclusion import Exclusion
from nnunet_sparse.grid.filling import Filling
from nnunet_sparse.grid.rounds import Rounds
from nnunet_sparse.grid.yaml_lines import converted, key_lines, line_number, part, parts
from nnunet_sparse.phantoms import DEFAULT_SPACING_MM, MAX_STRENGTH, PHANTOM_TASKS
from nnunet_sparse.selection.budget import Budget
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import first_selector_names, selector_class, selector_names
from nnunet_sparse.selectors.selector import SCOPES
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.schema import (
    Rule,
    choice,
    not_negative,
    positive,
    setting,
    switch,
    whole,
)

VERSION = 1
PAPER_RHO = (0.05, 0.1, 0.2, 0.4, 0.8)
PAPER_S = (0.125, 0.25, 0.5, 1.0)
PAPER_SELECTORS = ("fixed", "random", "ual")
DEVICES = ("auto", "cpu", "cuda")
OMIT, INCLUDE = "omit", "include"
AUTO = "auto"
MOST_PER_GPU = 16
_LEAST = rules.numbers(f"different whole numbers from 0 to {rules.LARGEST}", 0)
_SEED = whole(0, rules.LARGEST)
# of a phantom: what a machine makes, and people draw, in hours
_MAX_SIDE, _MAX_VOXELS, _MAX_CASES = 4096, 2**30, 10_000
_MAX_REPEATS = 1000  # each is a fold of nnU-Net, listed in its file of splits


@dataclass(frozen=True)
class Phantom:
    """A base that is made by ``nnsparse_make_phantom``.

    Attributes
    ----------
    task
        Kind of phantom.
    shape
        Voxels (z, y, x).
    spacing
        Voxel size (z, y, x) in mm.
    variation, drawn_slices
        As of :func:`nnunet_sparse.phantoms.make_case`; 0 slices are as many as ``shape`` has.
    num_train, num_test
        Number of cases.
    seed
        Seed of the images.
    name
        Name of the data set; by default ``PhantomOrgan`` and so on.
    """

    task: str = setting("organ", choice(*PHANTOM_TASKS))
    shape: tuple[int, ...] = setting(
        (32, 80, 80),
        rules.numbers(f"three numbers (z, y, x) from 1 to {_MAX_SIDE}", 1, 3, _MAX_SIDE),
    )
    spacing: tuple[float, ...] = converted(DEFAULT_SPACING_MM, rules.SPACING, rules.fractions)
    variation: float = setting(
        0.0, Rule(float, lambda v: 0 <= v <= MAX_STRENGTH, f"a number from 0 to {MAX_STRENGTH:g}")
    )
    drawn_slices: int = setting(0, whole(0, _MAX_SIDE))
    num_train: int = setting(24, whole(2, _MAX_CASES))
    num_test: int = setting(8, whole(1, _MAX_CASES))
    seed: int = setting(0, _SEED)
    name: str = setting("", rules.name("a name of letters and digits"))

    def __post_init__(self) -> None:
        drawn = (self.drawn_slices or self.shape[0], *self.shape[1:])
        if self.drawn_slices % self.shape[0]:
            raise SparseError(
                f"drawn_slices must be a multiple of the {self.shape[0]} slices of the shape, got "
                f"{self.drawn_slices}"
            )
        if (number := math.prod(drawn)) > _MAX_VOXELS:
            raise SparseError(
                f"shape {list(drawn)} has {number:.2g} voxels, a phantom at most {_MAX_VOXELS:.2g}"
            )

    @property
    def suffix(self) -> str:
        """Name of the data set without ``DatasetXXX_``."""
        return self.name or f"Phantom{self.task.capitalize()}"


@dataclass(frozen=True)
class Task:
    """A base data set, and what is done with it.

    Attributes
    ----------
    base
        Name or ID of a dense data set in ``nnUNet_raw``.
    phantom
        Or a phantom that is made.
    labels
        Names of the labels whose scores count, or ``all``; by default the targets where
        ``dataset.json`` declares roles, else all.
    axis
        Slice axis, as in ``nnsparse_make_dataset``.
    val, test, split_file, split_seed
        Split of a base that has none yet, as in ``nnsparse_make_dataset``.
    positive_weight
        Of cells with interpolation, and of the same ones without: how much more a slice with
        foreground counts when slices are chosen.
    configurations
        In place of the experiment's.
    rho, s
        Densities and volume fractions of this task, in place of the experiment's.
    exclude
        Cells that are no part of it, beside those that the experiment excludes.
    line, lines
        Where it and its keys stand in the file.
    """

    base: str = converted("", rules.text("name or ID of a data set"), rules.as_text)
    phantom: Phantom | None = part(Phantom)
    labels: tuple[str, ...] = converted((), rules.texts("names of labels"), rules.listed)
    axis: str = converted("auto", choice(*AXIS_CHOICES), rules.as_text)
    val: float | None = setting(None, not_negative())
    test: float | None = setting(None, not_negative())
    split_file: str = setting("", rules.text("a file"))
    split_seed: int = setting(0, _SEED)
    positive_weight: float = setting(1.0, positive())
    configurations: tuple[Configuration, ...] = parts(Configuration)
    rho: tuple[float, ...] = converted((), rules.DENSITIES, rules.fractions)
    s: tuple[float, ...] = converted((), rules.FRACTIONS, rules.fractions)
    exclude: tuple[Exclusion, ...] = parts(Exclusion)
    line: int = line_number()
    lines: Mapping[str, int] = key_lines()

    def __post_init__(self) -> None:
        if bool(self.base) == (self.phantom is not None):
            raise SparseError("a task has either a base or a phantom")
        if self.phantom is not None and not self.split_request(Path()).is_empty:
            raise SparseError("a phantom has a split of its own: leave out val, test, split_file")

    def split_request(self, folder: Path) -> SplitRequest:
        """How the base is split where it has no split; files are relative to a folder."""
        file = folder / self.split_file if self.split_file else None
        return SplitRequest(self.val, self.test, file, self.split_seed or None)


@dataclass(frozen=True)
class Experiment:
    """Everything that ``grid.yaml`` says.

    Attributes
    ----------
    version
        Of the format, 1.
    tasks
        Data sets.
    configurations
        Ways of training.
    rho, slices_per_volume, budget
        How much is annotated: each value of each of them; the paper's densities where none is given
        and there are no rounds.
    s, selectors, scopes, seeds
        Each combination of these and an amount is a cell; selectors that do not have a scope have
        no cells there.
    parameters
        Of selectors, by their names: a value or several of each. Each combination is a cell.
    mae
        Presets of masked autoencoders; each is a cell of selectors that use features.
    min_per_volume
        Least numbers of slices of each volume; each is a cell with scope ``dataset``.
    repeats
        Trainings of each cell.
    dense
        Whether training on all slices of all volumes is the reference.
    interpolation
        Cells with interpolated labels.
    rounds
        Cells that are annotated in rounds.
    exclude
        Cells that are no part of the experiment.
    collapsed
        Whether cells with collapsed trainings enter the mean over tasks of figure 1.
    folder
        Folder of logs, predictions, scores and report, relative to the file; by default the file's
        name without ending.
    nnunet
        Folder for nnU-Net's three folders, relative to the file; by default those of the
        environment.
    threads
        Processor cores of each job; ``auto``: as many as feed the GPUs of the machine.
    trainings_per_gpu
        Networks that are trained at once on a GPU; ``auto``: as many as have room.
    device
        ``auto``: GPUs where there are any.
    lines
        Where its keys stand in the file.
    """

    version: int = setting(VERSION, Rule(int, lambda v: v == VERSION, f"{VERSION}"))
    tasks: tuple[Task, ...] = parts(Task)
    configurations: tuple[Configuration, ...] = parts(Configuration)
    rho: tuple[float, ...] = converted((), rules.DENSITIES, rules.fractions)
    slices_per_volume: tuple[int, ...] = converted((), rules.SLICES, rules.listed)
    budget: tuple[int, ...] = converted((), rules.SLICES, rules.listed)
    s: tuple[float, ...] = converted(PAPER_S, rules.FRACTIONS, rules.fractions)
    selectors: tuple[str, ...] = converted(
        PAPER_SELECTORS, **rules.some(first_selector_names(), known=selector_names())
    )
    parameters: dict[str, Any] = field(default_factory=dict, metadata=rules.PARAMETERS)
    mae: tuple[str, ...] = converted((DEFAULT_MAE_PRESET,), **rules.some(tuple(MAE_PRESETS)))
    scopes: tuple[str, ...] = converted(("volume",), **rules.some(SCOPES))
    min_per_volume: tuple[int, ...] = converted((0,), _LEAST, rules.listed)
    seeds: tuple[int, ...] = converted(
        (0,), rules.numbers(f"different whole numbers from 0 to {rules.LARGEST}", 0), rules.listed
    )
    repeats: int = setting(3, whole(1, _MAX_REPEATS))
    dense: bool = setting(True, switch())
    interpolation: Filling | None = part(Filling)
    rounds: Rounds | None = part(Rounds)
    exclude: tuple[Exclusion, ...] = parts(Exclusion)
    collapsed: str = setting(OMIT, choice(OMIT, INCLUDE))
    folder: str = setting("", rules.text("a folder"))
    nnunet: str = setting("", rules.text("a folder"))
    threads: str = converted("2", rules.number_or(AUTO), rules.as_text)
    trainings_per_gpu: str = converted("1", rules.number_or(AUTO, MOST_PER_GPU), rules.as_text)
    device: str = setting("auto", choice(*DEVICES))
    lines: Mapping[str, int] = key_lines()

    def __post_init__(self) -> None:
        if not (self.rho or self.slices_per_volume or self.budget or self.rounds):
            object.__setattr__(self, "rho", PAPER_RHO)
        if not self.tasks:
            raise SparseError("tasks is missing: a list of data sets")
        for task in self.tasks:
            if not (task.configurations or self.configurations):
                raise SparseError(f"configurations is missing, for {task.base or 'the phantom'}")

    @property
    def most_trainings(self) -> int:
        """What the number of trainings cannot exceed, from the lengths of the lists alone."""
        ways = [w for task in self.tasks for w in task.configurations or self.configurations]
        filling = [self.interpolation] if self.interpolation is not None else []
        every: list[Any] = [self, *self.tasks, *ways, *filling]
        amounts = sum(
            max(len(getattr(of, name, ())) for of in every)
            for name in ("rho", "slices_per_volume", "budget")
        )
        per_selector = {
            name: math.prod(len(rules.listed(several)) for several in values.values())
            for name, values in self.parameters.items()
        }
        choices = sum(per_selector.get(name, 1) for name in self.selectors)
        for of in filling:
            each = sum(per_selector.get(name, 1) for name in of.selectors or self.selectors)
            choices += len(of.methods) * each
        factors = (self.seeds, self.scopes, self.mae, self.min_per_volume)
        fractions = max(len(of.s) for of in every)
        cells = choices * amounts * fractions
        if self.rounds is not None:
            each = sum(per_selector.get(name, 1) for name in self.rounds.selectors)
            cells += each * self.rounds.count * len(self.rounds.s)
        return cells * math.prod(map(len, factors)) * self.repeats * len(ways)

    def variants(
        self, filling: Filling | None = None, rho: Sequence[float] = (), s: Sequence[float] = ()
    ) -> Iterator[Variant]:
        """All combinations of factors, some more than once; with a filling those it interpolates.

        Factors that mean nothing beside another are left at their default.

        Parameters
        ----------
        filling
            What is interpolated.
        rho, s
            Densities and volume fractions in place of the experiment's, and the only ones of which
            cells are interpolated; any where empty.
        """
        scopes = self.scopes if filling is None else ("volume",)
        selectors = self.selectors if filling is None else filling.selectors or self.selectors
        if filling is None:
            fractions, amounts = s or self.s, _amounts(self, rho or self.rho)
        else:
            fractions = [x for x in filling.s if not s or x in s]
            listed = _amounts(filling, filling.rho) or _amounts(self, rho or self.rho)
            amounts = [x for x in listed if not rho or x.rho is None or x.rho in rho]
        return self.combinations(selectors, scopes, fractions, amounts)

    def combinations(
        self,
        selectors: Sequence[str],
        scopes: Sequence[str],
        fractions: Sequence[float],
        amounts: Sequence[Budget],
    ) -> Iterator[Variant]:
        """All combinations of these and the other factors."""
        for seed, scope, selector in product(self.seeds, scopes, selectors):
            if scope not in selector_class(selector).scopes:
                continue
            least = self.min_per_volume if scope == "dataset" else (0,)
            choosing = product(self.parameters_of(selector), self.mae, least)
            for chosen, fraction, amount in product(choosing, fractions, amounts):
                parameters, mae, minimum = chosen
                yield Variant(
                    rho=amount.rho,
                    slices_per_volume=amount.per_volume,
                    budget=amount.total,
                    s=fraction,
                    selector=selector,
                    parameters=parameters,
                    mae=mae,
                    scope=scope,
                    min_per_volume=minimum,
                    seed=seed,
                )

    def parameters_of(self, selector: str) -> list[dict[str, Any]]:
        """Every combination of the parameters of a selector."""
        several = {
            key: [rules.parameter(selector, key, value) for value in rules.listed(values)]
            for key, values in self.parameters.get(selector, {}).items()
        }
        return [dict(zip(several, values, strict=True)) for values in product(*several.values())]


def _amounts(of: Experiment | Filling, densities: Sequence[float]) -> list[Budget]:
    """How much is annotated, one after the other."""
    return [
        *(Budget(rho=rho) for rho in densities),
        *(Budget(per_volume=number) for number in of.slices_per_volume),
        *(Budget(total=number) for number in of.budget),
    ]
