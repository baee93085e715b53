"""The command ``nnsparse_show_selection``."""

import argparse
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nnunet_sparse.data.check_base import CheckedCase, check_cases
from nnunet_sparse.data.dataset_name import find_dataset
from nnunet_sparse.data.declared_labels import foreground_values
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, RawDataset
from nnunet_sparse.data.split import SplitRequest, find_split, split_file
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.features.feature_store import slice_features
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.selection.choose_slices import choose_volumes
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.selectors import selector_class, selector_names
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.devices import check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import (
    add_device_option,
    add_num_processes_option,
    add_output_option,
)
from nnunet_sparse.system.paths import NnUNetPaths, configured_paths

logger = logging.getLogger(__name__)

DENSITIES = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
_FORMATS = ("png", "svg")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_show_selection",
        "Draw what was chosen for a sparse data set: a contact sheet of chosen slices, a strip for "
        "each volume, how well the chosen slices represent the others beside what other selectors "
        "would have reached, and how often they show each class.",
        "nnsparse_show_selection 500",
    )
    parser.add_argument("dataset", metavar="ID|NAME", help="sparse data set in nnUNet_raw")
    add_output_option(parser, "folder for the figures (default: ./NAME_selection)")
    parser.add_argument(
        "--cases", type=positive_int, default=6, help="volumes shown (default: %(default)s)"
    )
    parser.add_argument(
        "--columns",
        type=positive_int,
        default=8,
        help="slices shown of each volume, at most (default: %(default)s)",
    )
    add_device_option(parser)
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    from nnunet_sparse.report.selection.selection_figures import (
        draw_contact_sheet,
        draw_foreground,
        draw_strips,
    )

    check_device(args.device)
    paths = configured_paths()
    dataset = RawDataset.open(paths.raw / find_dataset(paths, args.dataset))
    file = dataset.folder / SELECTION_FILE
    if not file.is_file():
        raise SparseError(
            f"{dataset.name} has no {SELECTION_FILE}: it was not made by nnsparse_make_dataset"
        )
    selection = Selection.read(file)
    if selection.campaign is not None:
        raise SparseError(
            f"{dataset.name} was imported from the campaign {selection.campaign}; its README.html "
            "shows the slices, compared are selections of a dense data set"
        )
    base = RawDataset.open(paths.raw / find_dataset(paths, selection.base))
    split, is_new = find_split(base, paths, SplitRequest())
    seed = selection.variant.seed
    names = choose_volumes(list(split.train), selection.volume_fraction, seed)
    if is_new or not set(selection.cases) <= set(names):
        raise SparseError(
            f"{dataset.name} does not belong to the split of {base.name} in "
            f"{split_file(paths, base.name)}: it was made with another one"
        )
    volumes = check_cases(base, names, args.num_processes, frozenset({"classes", "objects"}))
    output = args.output or Path(f"{dataset.name}_selection")
    output.mkdir(parents=True, exist_ok=True)

    def files(name: str) -> list[Path]:
        return [output / f"{dataset.name}_{name}.{ending}" for ending in _FORMATS]

    draw_contact_sheet(dataset, selection, files("slices"), args.cases, args.columns)
    lengths = {case_id: len(c.foreground[selection.axis]) for case_id, c in volumes.items()}
    title = f"{dataset.name}: {selection.budget} slices in {len(selection.cases)} volumes"
    if left_out := len(lengths) - len(selection.cases):
        title += f", none in {left_out}"
    draw_strips(selection, lengths, title, files("positions"))
    shares = foreground_shares(base, selection, volumes)
    draw_foreground(shares, dataset.name, files("foreground"))
    lines = [
        f"{name}: {of_all:.3f} of all slices, {of_chosen:.3f} of the chosen ones"
        for name, (of_all, of_chosen) in shares.items()
    ]
    lines += _coverage(paths, base, selection, volumes, split.train, args, files("coverage"))
    print("\n".join([*lines, f"figures: {output}"]))


def _loadable_selectors() -> list[str]:
    """Names of the selectors; those of other packages that cannot be loaded are left out."""
    names = []
    for name in selector_names():
        try:
            selector_class(name)
        except SparseError as error:
            logger.warning("%s: it is left out", error)
        else:
            names.append(name)
    return names


def foreground_shares(
    base: RawDataset, selection: Selection, volumes: Mapping[str, CheckedCase]
) -> dict[str, tuple[float, float]]:
    """Share of all slices, and of the chosen ones, that show any class and each class.

    Parameters
    ----------
    base
        The dense data set.
    selection
        Chosen slices.
    volumes
        All volumes that might have been annotated, with their classes.
    """
    everything, chosen = [], []
    for case_id, checked in volumes.items():
        assert checked.classes is not None
        shown = checked.classes[selection.axis]
        everything.append(shown)
        if case_id in selection.cases:
            chosen.append(shown[list(selection.cases[case_id].slices)])
    of_all, of_chosen = np.concatenate(everything), np.concatenate(chosen)
    values = [value for value in base.label_values if value > 0]

    def shares(columns: list[int]) -> tuple[float, float]:
        first, second = (float(s[:, columns].any(axis=1).mean()) for s in (of_all, of_chosen))
        return first, second

    result = {"any label": shares(list(range(len(values))))} if len(values) > 1 else {}
    for name, labels in foreground_values(base.dataset_json["labels"]).items():
        result[name] = shares([values.index(v) for v in labels])
    return result


def _coverage(
    paths: NnUNetPaths,
    base: RawDataset,
    selection: Selection,
    volumes: Mapping[str, CheckedCase],
    train: tuple[str, ...],
    args: argparse.Namespace,
    outputs: list[Path],
) -> list[str]:
    """Draw the curves, if there are features; the line that says where the selection stands."""
    from nnunet_sparse.report.selection.coverage import coverage, coverage_curves
    from nnunet_sparse.report.selection.selection_figures import draw_coverage

    variant = selection.variant
    request = MaeRequest(variant.mae, variant.mae_seed, args.device)
    images = TrainingImages(paths, base, train, selection.axis)
    model = request.model_of(images)
    if not model.checkpoint.is_file():
        logger.warning("no coverage is drawn, for want of features: %s", model.command)
        return []
    features = slice_features(images, request, args.num_processes)
    if selection.features not in (None, features.checkpoint):
        logger.warning(
            "%s was chosen by features of another network (%s) than the one that is there (%s)",
            variant.selector,
            selection.features,
            features.checkpoint,
        )
    curves = coverage_curves(
        base.name, variant, selection.axis, volumes, features, DENSITIES, _loadable_selectors()
    )
    value = coverage(features, selection, list(volumes))
    if math.isnan(value):
        return ["coverage: every slice was chosen"]
    of_all = sum(len(checked.foreground[selection.axis]) for checked in volumes.values())
    here = (variant.selector, selection.budget, value)
    draw_coverage(curves, of_all, here, f"{base.name}, scope {variant.scope}", outputs)
    return [f"coverage: {value:.3f} ({selection.budget} of {of_all} slices)"]
