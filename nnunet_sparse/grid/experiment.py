"""The experiment file: which trainings there are to be.

The fields of the dataclasses are the schema of ``grid.yaml``; ``nnsparse_grid init`` writes one
with comments.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from nnunet_sparse.data.geometry import AXIS_CHOICES
from nnunet_sparse.data.split import SplitRequest
from nnunet_sparse.grid.yaml_lines import (
    converted,
    key_lines,
    line_number,
    load,
    part,
    parts,
    read_yaml,
)
from nnunet_sparse.interpolation.methods import DEFAULT_METHOD, method_names
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.phantoms import TASKS
from nnunet_sparse.selectors import selector_names
from nnunet_sparse.selectors.registry import SCOPES
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths, configured_paths
from nnunet_sparse.system.schema import (
    Rule,
    choice,
    mapping,
    not_negative,
    positive,
    setting,
    share,
    subset,
    switch,
    whole,
)
from nnunet_sparse.training.settings import TrainingSettings

VERSION = 1
PAPER_RHO = (0.05, 0.1, 0.2, 0.4, 0.8)
PAPER_S = (0.125, 0.25, 0.5, 1.0)
PAPER_SELECTORS = ("fixed", "random", "ual")
CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
"""nnU-Net's, but for the cascade, which needs predictions of another."""
DEVICES = ("auto", "cpu", "cuda")
_SETTINGS = {
    "rule": mapping("training settings, as {num_epochs: 100}"),
    "check": TrainingSettings.from_block,
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*(_[A-Za-z0-9.+-]+)*")


def _fractions(value: Any) -> Any:
    """Numbers of a list; ``1/8`` may stand for 0.125, and one number for a list of one."""
    values = value if isinstance(value, list | tuple) else [value]
    return [_fraction(item) for item in values]


def _fraction(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d+/\d+", value):
        above, below = (int(part) for part in value.split("/"))
        return above / below if below else value
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _shares(name: str, empty: bool = False) -> Rule:
    def accepts(values: Sequence[Any]) -> bool:
        numbers = all(isinstance(v, float) and 0 < v <= 1 for v in values)
        return numbers and len(set(values)) == len(values) and (empty or len(values) > 0)

    return Rule(tuple, accepts, f"a list of different {name} above 0 and up to 1, as [0.1, 1/8]")


def _numbers(valid: str, low: int, length: int | None = None) -> Rule:
    def accepts(values: Sequence[Any]) -> bool:
        whole_numbers = all(type(v) is int and v >= low for v in values)
        right_length = len(values) == length if length else len(values) > 0
        different = length is not None or len(set(values)) == len(values)
        return whole_numbers and right_length and different

    return Rule(tuple, accepts, valid)


def _some(choices: Sequence[str], empty: bool = False) -> dict[str, Any]:
    inner = subset(*choices)
    rule = Rule(tuple, lambda v: (empty or len(v) > 0) and inner.accepts(v), inner.valid)
    return {"rule": rule, "convert": _listed, "choices": choices}


def _text(valid: str) -> Rule:
    return Rule(str, lambda value: value != "", valid)


def _name(valid: str) -> Rule:
    return Rule(str, lambda value: _NAME.fullmatch(value) is not None, valid)


def _texts(valid: str) -> Rule:
    def accepts(values: Sequence[Any]) -> bool:
        return all(isinstance(v, str) and v for v in values) and len(set(values)) == len(values)

    return Rule(tuple, accepts, valid)


@dataclass(frozen=True)
class Phantom:
    """A base that is made by ``nnsparse_make_phantom``.

    Attributes
    ----------
    task
        Kind of phantom.
    shape
        Voxels (z, y, x).
    num_train, num_test
        Number of cases.
    seed
        Seed of the images.
    name
        Name of the data set; by default ``PhantomOrgan`` and so on.
    """

    task: str = setting("organ", choice(*TASKS))
    shape: tuple[int, ...] = setting((32, 80, 80), _numbers("three numbers (z, y, x)", 1, 3))
    num_train: int = setting(24, whole(2))
    num_test: int = setting(8, whole(1))
    seed: int = setting(0, whole(0))
    name: str = setting("", _name("a name of letters and digits"))

    @property
    def suffix(self) -> str:
        """Name of the data set without ``DatasetXXX_``."""
        return self.name or f"Phantom{self.task.capitalize()}"


@dataclass(frozen=True)
class Configuration:
    """A way of training.

    Attributes
    ----------
    configuration
        Configuration in the plans, as ``2d``.
    trainer
        What ``-tr`` names.
    planner, scale
        What ``-pl`` and ``--scale`` name.
    plans
        Name of the plans; by default the planner's own, with a hash of the settings where some are
        changed.
    settings
        Training settings that differ from the planner's.
    line, lines
        Where it and its keys stand in the file.
    """

    configuration: str = setting("3d_fullres", choice(*CONFIGURATIONS))
    trainer: str = setting("SparseTrainer", _name("the name of a trainer"))
    planner: str = setting("SparsePlanner", _name("the name of a planner"))
    scale: float = setting(1.0, Rule(float, lambda v: 0 < v <= 1, "a number above 0, at most 1"))
    plans: str = setting("", _name("a name of letters, digits and single _"))
    settings: dict[str, Any] = field(default_factory=dict, metadata=_SETTINGS)
    line: int = line_number()
    lines: Mapping[str, int] = key_lines()

    def __post_init__(self) -> None:
        TrainingSettings.from_block(self.settings)


@dataclass(frozen=True)
class Filling:
    """Cells whose labels are interpolated, beside the same ones without.

    Attributes
    ----------
    methods
        Ways of interpolation.
    rho, s, selectors
        Cells that are interpolated; where empty, those of the whole grid (``s``: 1).
    one_way, verify, min_confidence
        As in ``nnsparse_interpolate``.
    """

    methods: tuple[str, ...] = converted((DEFAULT_METHOD,), **_some(method_names()))
    rho: tuple[float, ...] = converted((), _shares("densities", empty=True), _fractions)
    s: tuple[float, ...] = converted((1.0,), _shares("volume fractions"), _fractions)
    selectors: tuple[str, ...] = converted((), **_some(selector_names(), empty=True))
    one_way: bool = setting(False, switch())
    verify: bool = setting(False, switch())
    min_confidence: float = setting(0.0, share())

    def __post_init__(self) -> None:
        _ = self.interpolations

    @property
    def interpolations(self) -> tuple[Interpolation, ...]:
        """The ways, each with its options."""
        return tuple(
            Interpolation(
                method, self.one_way, self.verify, min_confidence=float(self.min_confidence)
            )
            for method in self.methods
        )


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
        Names of the labels whose scores count; by default all.
    axis
        Slice axis, as in ``nnsparse_make_dataset``.
    val, test, split_file, split_seed
        Split of a base that has none yet, as in ``nnsparse_make_dataset``.
    positive_weight
        Of cells with interpolation and selector ``random``: how much likelier a slice with
        foreground is drawn.
    configurations
        In place of the experiment's.
    line, lines
        Where it and its keys stand in the file.
    """

    base: str = converted("", _text("name or ID of a data set"), _as_text)
    phantom: Phantom | None = part(Phantom)
    labels: tuple[str, ...] = converted((), _texts("names of labels"), _listed)
    axis: str = converted("auto", choice(*AXIS_CHOICES), _as_text)
    val: float | None = setting(None, not_negative())
    test: float | None = setting(None, not_negative())
    split_file: str = setting("", _text("a file"))
    split_seed: int = setting(0, whole(0))
    positive_weight: float = setting(1.0, positive())
    configurations: tuple[Configuration, ...] = parts(Configuration)
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
    rho, s, selectors, scopes, seeds
        Each combination is a cell; selectors that do not have a scope have no cells there.
    repeats
        Trainings of each cell.
    dense
        Whether training on all slices of all volumes is the reference.
    interpolation
        Cells with interpolated labels.
    folder
        Folder of logs, predictions, scores and report, relative to the file; by default the file's
        name without ending.
    nnunet
        Folder for nnU-Net's three folders, relative to the file; by default those of the
        environment.
    threads
        Processor cores of each training.
    device
        ``auto``: GPUs where there are any.
    lines
        Where its keys stand in the file.
    """

    version: int = setting(VERSION, Rule(int, lambda v: v == VERSION, f"{VERSION}"))
    tasks: tuple[Task, ...] = parts(Task)
    configurations: tuple[Configuration, ...] = parts(Configuration)
    rho: tuple[float, ...] = converted(PAPER_RHO, _shares("densities"), _fractions)
    s: tuple[float, ...] = converted(PAPER_S, _shares("volume fractions"), _fractions)
    selectors: tuple[str, ...] = converted(PAPER_SELECTORS, **_some(selector_names()))
    scopes: tuple[str, ...] = converted(("volume",), **_some(SCOPES))
    seeds: tuple[int, ...] = converted((0,), _numbers("different whole numbers", 0), _listed)
    repeats: int = setting(3, whole(1))
    dense: bool = setting(True, switch())
    interpolation: Filling | None = part(Filling)
    folder: str = setting("", _text("a folder"))
    nnunet: str = setting("", _text("a folder"))
    threads: int = setting(2, whole(1))
    device: str = setting("auto", choice(*DEVICES))
    lines: Mapping[str, int] = key_lines()

    def __post_init__(self) -> None:
        if not self.tasks:
            raise SparseError("tasks is missing: a list of data sets")
        for task in self.tasks:
            if not (task.configurations or self.configurations):
                raise SparseError(f"configurations is missing, for {task.base or 'the phantom'}")


@dataclass(frozen=True)
class Grid:
    """An experiment, and where it is.

    Attributes
    ----------
    file
        The experiment file.
    experiment
        What it says.
    folder
        Folder of logs, predictions, scores and report.
    paths
        nnU-Net's folders.
    """

    file: Path
    experiment: Experiment
    folder: Path
    paths: NnUNetPaths

    @property
    def name(self) -> str:
        """Name of the file without ending."""
        return self.file.stem

    def fail(self, line: int, message: str) -> NoReturn:
        """Raise an error that names the file and a line of it."""
        raise SparseError(f"{self.file}, line {line}: {message}")

    def fail_at(self, part: Configuration | Task | Experiment, key: str, message: str) -> NoReturn:
        """Raise an error that names the line of a key, or of what would have it."""
        self.fail(part.lines.get(key, getattr(part, "line", 1)), message)


def open_grid(file: Path) -> Grid:
    """Read and check an experiment file.

    Raises
    ------
    SparseError
        With file and line where it is wrong, or if nnU-Net's folders are not known.
    """
    file = file.resolve()
    root = read_yaml(file)
    experiment = load(Experiment, root)
    folder = file.parent / (experiment.folder or file.stem)
    if folder == file:
        raise SparseError(f"{file} has no ending, so that its folder needs a name: folder: NAME")
    if experiment.nnunet:
        paths = NnUNetPaths.below(file.parent / experiment.nnunet)
    else:
        paths = configured_paths()
    grid = Grid(file, experiment, folder, paths)
    _check_folders(grid)
    return grid


def _check_folders(grid: Grid) -> None:
    """Refuse a folder that is a file, or holds other things."""
    folder, experiment = grid.folder.resolve(), grid.experiment
    theirs = [Path(path).resolve() for path in vars(grid.paths).values()]
    if experiment.nnunet:
        root = grid.file.parent / experiment.nnunet
        if found := next((path for path in (root, *theirs) if path.is_file()), None):
            grid.fail_at(experiment, "nnunet", f"{found} is a file, not a folder")
    if folder.is_file():
        grid.fail_at(
            experiment, "folder", f"{folder} is a file; another folder is named with folder: NAME"
        )
    for path in (grid.file, *theirs):
        is_theirs = path in theirs and folder.is_relative_to(path)
        if is_theirs or path.is_relative_to(folder):
            grid.fail_at(
                experiment,
                "folder",
                f"{folder} cannot be the experiment's folder, since it "
                f"{'lies in' if is_theirs else 'holds'} {path}: give it a folder of its own",
            )
