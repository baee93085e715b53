"""Commands that publish folders and files, and the files that they find."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import numpy as np
import pytest
from campaign.annotator import annotate
from campaign.scans import write_scans
from grid_fixtures import write_grid
from grid_results import pretend
from matplotlib.figure import Figure
from nnunet_shortcuts import draw_few_samples
from published_trees import atlas_tree, dbc_tree, lits_tree
from tiny import random_label, write_volume
from trained_models import dataset_json, plans, write_model

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.import_command import main as import_campaign
from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.dataset_tools.convert.convert_command import main_atlas, main_dbc, main_lits17
from nnunet_sparse.dataset_tools.extend_command import main as extend
from nnunet_sparse.dataset_tools.interpolate_command import main as interpolate
from nnunet_sparse.dataset_tools.make_dataset_command import main as make_dataset
from nnunet_sparse.dataset_tools.make_phantom import main as make_phantom
from nnunet_sparse.features.mae import MaeSize
from nnunet_sparse.features.mae_presets import MAE_PRESETS, MaePreset
from nnunet_sparse.features.train_mae_command import main as train_mae
from nnunet_sparse.interpolation.interpolator_presets import (
    INTERPOLATOR_PRESETS,
    InterpolatorPreset,
)
from nnunet_sparse.interpolation.train_interpolator_command import main as train_interpolator
from nnunet_sparse.planners.plan_and_preprocess import main as plan_and_preprocess
from nnunet_sparse.report.grid import page
from nnunet_sparse.report.grid.report_command import main as report
from nnunet_sparse.report.interpolation import (
    case_measurements,
    interpolation_quality,
    quality_command,
)
from nnunet_sparse.report.selection.show_selection import main as show_selection
from nnunet_sparse.system import resumable
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.paths import NnUNetPaths

Main = Callable[[Sequence[str]], int]
_ONE = ("-np", "1")
_MAKE = ("-d", "4", "--rho", "0.3", *_ONE)
_WORKLIST = ("make", "scans", "-o", "new/campaign", "--labels", "ball", "core", *_ONE)


def make_fast() -> None:
    """Shorten what takes long in this process, and take what depends on the time out of reports."""
    # networks that train for a moment and keep each step
    MAE_PRESETS["tiny"] = MaePreset(MaeSize(8, 1, 2, 8, 1, 2), 16, 8, 2000, 2, 1, 1e-3)
    INTERPOLATOR_PRESETS["tiny"] = InterpolatorPreset(2, 8, 2, 1e-3, 0.5, 1)
    resumable._SECONDS_BETWEEN_CHECKPOINTS = 0.0
    draw_few_samples(pytest.MonkeyPatch())
    Figure.savefig = _savefig
    page.arranged = lambda *_: Figure()  # nothing of it is seen
    # reports of an interpolation tell how long it has taken
    for module in (interpolation_quality, case_measurements):
        module.time = SimpleNamespace(perf_counter=lambda: 0.0)


def _savefig(_: Figure, output: Path | BinaryIO, **__: object) -> None:
    """Write a file in place of a picture, whose drawing takes longer than all the rest."""
    if isinstance(output, Path):
        output.write_bytes(b"a picture")
    else:
        output.write(b"a picture")


@dataclass(frozen=True)
class Published:
    """A command, in a working directory of its own.

    Attributes
    ----------
    main
        The command.
    arguments
        Its arguments.
    before
        What has been done before.
    then
        The call after one that was ended; the same if None.
    """

    main: Main
    arguments: tuple[str, ...]
    before: Callable[[], None]
    then: Callable[[], int] | None = None

    def prepare(self) -> None:
        """Write the files that the command finds."""
        _paths().make_folders()
        self.before()

    def run(self) -> int:
        """Call the command."""
        _paths().export()
        return self.main(self.arguments)

    def again(self) -> int:
        """Call the command after it was ended."""
        _paths().export()
        return self.run() if self.then is None else self.then()


def _paths() -> NnUNetPaths:
    paths = NnUNetPaths.below(Path("nnunet"))
    paths.export()
    os.environ["nnUNet_n_proc_DA"] = "1"  # nnU-Net's planner hands it to torch
    return paths


def _base() -> None:
    """Six volumes, all labels of which are there."""
    rng, folder = np.random.default_rng(7), _paths().raw / "Dataset004_Tiny"
    for case in range(4):
        label = random_label(rng, (6, 5, 4))
        write_volume(folder / "labelsTr" / f"tr_{case}.nii.gz", label)
        image = rng.normal(size=label.shape).astype(np.float32)
        write_volume(folder / "imagesTr" / f"tr_{case}_0000.nii.gz", image)
    content = {
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "organ": 1, "lesion": 2},
        "numTraining": 4,
        "file_ending": ".nii.gz",
    }
    write_json(folder / "dataset.json", content, sort_keys=False)


def _sparse() -> None:
    _base()
    _done(make_dataset(_MAKE))


def _changed_sparse() -> None:
    """A sparse data set whose base has got another label since."""
    _sparse()
    label = random_label(np.random.default_rng(8), (6, 5, 4))
    for case in range(4):
        write_volume(_paths().raw / "Dataset004_Tiny" / "labelsTr" / f"tr_{case}.nii.gz", label)


def _done(status: int) -> None:
    if status:
        raise RuntimeError(f"ended with {status}")


def _phantom() -> None:
    _done(make_phantom([*_PHANTOM, "--seed", "1"]))


def _scans() -> None:
    write_scans(Path("scans"), ("a", "b", "c"))


def _campaign() -> None:
    _scans()
    _done(worklist([*_WORKLIST, "--slices_per_volume", "2"]))


def _annotated() -> None:
    _campaign()
    annotate(Path("new/campaign"), Path("truth"))


def _imported() -> None:
    _annotated()
    _done(import_campaign(_IMPORT))


def _model(labels: dict[str, int], channel: str) -> None:
    """A network that has seen nothing."""
    content = plans(patch=(16, 16), dataset="Dataset900_Any")  # one holds a slice
    write_model(Path("results"), content, dataset_json(labels, (channel,)))


def _sparse_with_model() -> None:
    _sparse()
    _model({"background": 0, "organ": 1, "lesion": 2}, "MR")


def _campaign_with_model() -> None:
    _campaign()
    _model({"background": 0, "ball": 1, "core": 2}, "image")


def _extended_by_network() -> int:
    """Extends a campaign by what a network says, unless that has been done."""
    campaign = Campaign.read(Path("new/campaign"))
    if len(campaign.rounds) > 1 and campaign.is_complete:
        return worklist(_STATUS)
    return worklist(_EXTEND_BY_NETWORK)


def _extended(*more: str) -> int:
    """Extends a campaign, unless that has been done."""
    campaign = Campaign.read(Path("new/campaign"))
    if len(campaign.rounds) > 1 and campaign.is_complete:
        return worklist(_STATUS)
    return worklist([*_EXTEND, *more])


def _lits() -> None:
    lits_tree(Path("source"), range(3))


def _dbc() -> None:
    dbc_tree(Path("source"))


def _atlas() -> None:
    atlas_tree(Path("source"))


def _grid() -> None:
    Path("home").mkdir()
    pretend(write_grid(Path("home").resolve()))


def _report() -> None:
    _grid()
    _done(report(_REPORT))
    Path("new/report/notes.txt").write_text("mine", encoding="utf-8")


_PHANTOM = (
    *("organ", "--num_train", "2", "--num_test", "1", "--shape", "8", "32", "32"),
    *("--spacing", "8", "4", "4", *_ONE),
)
_STATUS = ("status", "new/campaign", *_ONE)
_EXTEND = ("extend", "new/campaign", "--slices_per_volume", "1", *_ONE)
_TWICE = ("--second_reader", "0.5")
_OF_MODEL = (
    *("--selector", "entropy", "-device", "cpu"),
    *("--model", "results/Dataset900_Any/nnUNetTrainer__nnUNetPlans__2d"),
)
_EXTEND_BY_NETWORK = (*_EXTEND, *_OF_MODEL, "--prefill_prediction")
_IMPORT = ("new/campaign", "--name", "Ball", *_ONE)
_REPORT = ("home/tiny.yaml", "-o", "new/report", "--cases", "0", "--formats", "svg", *_ONE)
_SHORT_MAE = ("--mae", "tiny", "-device", "cpu")

COMMANDS = {
    "make_dataset": Published(make_dataset, _MAKE, _base),
    "make_dataset_overwrite": Published(
        make_dataset, (*_MAKE, "--overwrite", "--repeats", "2"), _changed_sparse
    ),
    "make_dataset_interpolate": Published(make_dataset, (*_MAKE, "--interpolate", "shape"), _base),
    "make_dataset_features": Published(
        make_dataset, (*_MAKE, "--selector", "ual", *_SHORT_MAE), _base
    ),
    "extend": Published(
        extend, ("-d", "500", "--budget", "3", *_OF_MODEL, *_ONE), _sparse_with_model
    ),
    "interpolate": Published(interpolate, ("-d", "500", "--method", "nearest", *_ONE), _sparse),
    "make_phantom": Published(make_phantom, _PHANTOM, lambda: None),
    "make_phantom_overwrite": Published(make_phantom, (*_PHANTOM, "--overwrite"), _phantom),
    "convert_lits17": Published(main_lits17, ("source", "--size", "8", "8", "6", *_ONE), _lits),
    "convert_atlas": Published(main_atlas, ("source", "--native", *_ONE), _atlas),
    "convert_dbc": Published(
        main_dbc,
        ("source", "--size", "6", "12", "14", "--spacing", "2", "1", "1", *_ONE),
        _dbc,
    ),
    "worklist_make": Published(worklist, (*_WORKLIST, "--slices_per_volume", "2"), _scans),
    "worklist_make_read_twice": Published(
        worklist, (*_WORKLIST, "--slices_per_volume", "2", *_TWICE), _scans
    ),
    "worklist_extend": Published(worklist, _EXTEND, _campaign, _extended),
    "worklist_extend_read_twice": Published(
        worklist, (*_EXTEND, *_TWICE), _campaign, lambda: _extended(*_TWICE)
    ),
    "worklist_extend_by_network": Published(
        worklist, _EXTEND_BY_NETWORK, _campaign_with_model, _extended_by_network
    ),
    "worklist_status": Published(worklist, _STATUS, _annotated),
    "import": Published(import_campaign, _IMPORT, _annotated),
    "import_overwrite": Published(
        import_campaign, (*_IMPORT, "--overwrite", "--tool", "pen"), _imported
    ),
    "train_mae": Published(train_mae, ("-d", "4", *_SHORT_MAE, *_ONE), _base),
    "train_interpolator": Published(
        train_interpolator, ("-d", "4", "--preset", "tiny", "-device", "cpu", *_ONE), _base
    ),
    "show_selection": Published(show_selection, ("500", *_ONE), _sparse),
    "interpolation_quality": Published(
        quality_command.main,
        ("-d", "4", "--rho", "0.3", "--methods", "nearest", "shape", *_ONE),
        _base,
    ),
    "plan_and_preprocess": Published(
        plan_and_preprocess,
        ("-d", "500", "-c", "3d_fullres", "-pl", "SmallPlanner", *_ONE),
        _sparse,
    ),
    "report": Published(report, _REPORT, _grid),
    "report_again": Published(report, _REPORT, _report),
}
