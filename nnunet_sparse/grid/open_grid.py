"""An experiment file that is open: what it says, and where its folders are."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET
from nnunet_sparse.grid.configuration import Configuration
from nnunet_sparse.grid.experiment import Experiment, Task
from nnunet_sparse.grid.rounds import Rounds
from nnunet_sparse.grid.yaml_lines import load, read_yaml
from nnunet_sparse.selectors import refuse_without_network, selector_class
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths, configured_paths

# so many jobs are planned in minutes; more are a slip of the pen
_MAX_TRAININGS = 100_000


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
    _check_size(grid)
    _check_factors(grid)
    _check_folders(grid)
    return grid


def _check_size(grid: Grid) -> None:
    """Refuse more trainings than can be planned."""
    number = grid.experiment.most_trainings
    if number > _MAX_TRAININGS:
        grid.fail_at(
            grid.experiment,
            "tasks",
            f"the lists of this file combine to {number:.3g} trainings, an experiment has at most "
            f"{_MAX_TRAININGS}",
        )


def _check_factors(grid: Grid) -> None:
    """Refuse factors that no cell would have."""
    experiment = grid.experiment
    filling = experiment.interpolation
    selectors = {*experiment.selectors, *(filling.selectors if filling is not None else ())}
    if experiment.rounds is not None:
        selectors |= {experiment.rounds.first, *experiment.rounds.selectors}
        _check_rounds(grid, experiment.rounds)
    for selector in experiment.selectors:
        try:
            refuse_without_network(selector)
        except SparseError as error:
            grid.fail_at(experiment, "selectors", str(error))
    if filling is not None and filling.teacher:
        for task in experiment.tasks:
            ways = task.configurations or experiment.configurations
            if filling.teacher not in {way.configuration for way in ways}:
                there = ", ".join(sorted({way.configuration for way in ways}))
                grid.fail_at(
                    experiment,
                    "interpolation",
                    f"teacher is {filling.teacher}, and a task is trained with {there} alone",
                )
    for selector in experiment.parameters:
        if selector not in selectors:
            grid.fail_at(experiment, "parameters", f"{selector} is none of the selectors")
    if any(experiment.min_per_volume) and "dataset" not in experiment.scopes:
        grid.fail_at(experiment, "min_per_volume", "min_per_volume works with scope dataset")
    uses_features = any("features" in selector_class(name).uses for name in selectors)
    if experiment.mae != (DEFAULT_MAE_PRESET,) and not uses_features:
        grid.fail_at(experiment, "mae", "mae is for selectors that use features, as ual")


def _check_rounds(grid: Grid, rounds: Rounds) -> None:
    """Refuse rounds that could not be gone through."""
    experiment = grid.experiment
    if len(experiment.parameters_of(rounds.first)) > 1:
        grid.fail_at(
            experiment,
            "parameters",
            f"the first round has one selector with one set of parameters, {rounds.first} has "
            "several",
        )
    for name in rounds.selectors:
        chooser = selector_class(name)
        if chooser.asks_network() and experiment.repeats < chooser.least_networks:
            grid.fail_at(
                experiment,
                "rounds",
                f"{name} compares the networks of an ensemble, which are the repeats: repeats "
                f"must be at least {chooser.least_networks}, it is {experiment.repeats}",
            )
        if not set(experiment.scopes) & set(chooser.scopes):
            scopes = " or ".join(chooser.scopes)
            grid.fail_at(
                experiment, "rounds", f"{name} has scope {scopes}, which is none of the scopes"
            )


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
