"""Checks of a dense base data set before anything is made from it."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from nnunet_sparse.data.declared_labels import LabelError, LabelRule, declared_labels
from nnunet_sparse.data.geometry import Geometry, read_geometry
from nnunet_sparse.data.label_files import check_complete, is_nifti, read_label
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, Case, RawDataset
from nnunet_sparse.data.same_voxels import check_same_voxels, warn_of_disagreement
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases


@dataclass(frozen=True)
class CheckedCase:
    """What is known about a volume once it has been checked.

    Attributes
    ----------
    geometry
        Shape and affine of the image.
    foreground
        For each array axis, shape (length,), bool: which slices hold foreground.
    classes
        For each array axis, shape (length, num_labels - 1), bool: which slices show each
        foreground label. None if it was not asked for.
    objects
        For each connected component of a label, for each array axis, its first slice and the one
        after its last. None if it was not asked for.
    """

    geometry: Geometry
    foreground: tuple[np.ndarray, ...]
    classes: tuple[np.ndarray, ...] | None = None
    objects: tuple[tuple[tuple[int, int], ...], ...] | None = None


def check_dataset(dataset: RawDataset) -> None:
    """Refuse a base whose ``dataset.json`` or list of cases does not allow a sparse data set.

    Raises
    ------
    SparseError
        If it is a sparse data set itself, has no labels, or labels that nnU-Net does not take.
    """
    if (dataset.folder / SELECTION_FILE).exists():
        raise SparseError(
            f"{dataset.name} is a sparse data set itself; slices are chosen from a dense one"
        )
    if dataset.has_ignore_label:
        raise SparseError(
            f"{dataset.name} already has an ignore label; slices are chosen from a dense data set"
        )
    if not dataset.training:
        raise SparseError(
            f"{dataset.name} has no training cases: no CASE_0000{dataset.file_ending} in "
            f"{dataset.folder / 'imagesTr'}"
        )
    if not any(case.label for case in dataset.training.values()):
        raise SparseError(
            f"{dataset.name} has no labels ({dataset.folder / 'labelsTr'}), which are needed to "
            "simulate annotation"
        )
    _check_labels(dataset)
    dataset.reader()


def _check_labels(dataset: RawDataset) -> None:
    """Refuse labels that nnU-Net does not take, and those without foreground."""
    consecutive = f"nnU-Net needs consecutive labels 0, 1, ..., got {dataset.label_values}"
    try:
        if not declared_labels(dataset.dataset_json).foreground:
            raise SparseError(f"{dataset.name}: {consecutive}")
    except LabelError as error:
        reasons = {
            LabelRule.BACKGROUND: "nnU-Net needs the label 'background' with the value 0",
            LabelRule.CONSECUTIVE: consecutive,
        }
        if "regions_class_order" not in dataset.dataset_json:
            reasons[LabelRule.ORDER] = "regions need regions_class_order in dataset.json"
        raise SparseError(f"{dataset.name}: {reasons.get(error.rule, str(error))}") from error


def check_cases(
    dataset: RawDataset,
    case_ids: list[str],
    num_processes: int,
    wanted: frozenset[str] = frozenset(),
) -> dict[str, CheckedCase]:
    """Check images and labels of many cases.

    Labels are read in full. Of NIfTI images only the header and the length are checked, which
    finds truncated files without decompressing them; others are only opened. Images whose qform and
    sform disagree are told in a warning.

    Parameters
    ----------
    dataset
        The base.
    case_ids
        Training and test cases.
    num_processes
        Number of processes.
    wanted
        ``classes`` and ``objects`` are measured if they are named.

    Raises
    ------
    SparseError
        If a file is missing or damaged, image and label do not lie on the same voxels, channels
        are missing, or a label holds values that ``dataset.json`` does not declare.
    """
    check = partial(
        _check_case,
        reader=dataset.reader(),
        num_channels=dataset.num_channels,
        label_values=dataset.label_values,
        wanted=wanted,
    )
    cases = {case_id: dataset.case(case_id) for case_id in case_ids}
    checked = map_cases(check, cases, num_processes, "Checking cases")
    warn_of_disagreement({cases[c].images[0]: case.geometry for c, case in checked.items()})
    return checked


def _check_case(
    case: Case, reader: str, num_channels: int, label_values: list[int], wanted: frozenset[str]
) -> CheckedCase:
    if case.label is None:
        raise SparseError(f"case {case.case_id} has no label")
    files = [*case.images, case.label]
    for file in files:
        if not file.is_file():
            raise SparseError(f"{file} (case {case.case_id}) does not exist")
        if is_nifti(file):
            check_complete(file)
    geometries = [read_geometry(file, reader) for file in files]
    if (found := sum(geometry.num_channels for geometry in geometries[:-1])) != num_channels:
        raise SparseError(
            f"case {case.case_id} has {found} image channels, dataset.json declares {num_channels}"
        )
    for file, geometry in zip(case.images, geometries, strict=False):
        check_same_voxels(case.label, geometries[-1], file, geometry, "its image")
    label = read_label(case.label, reader)
    _check_values(case, label, label_values)
    return CheckedCase(
        geometries[0],
        _shown_in(label > 0),
        _class_slices(label, label_values) if "classes" in wanted else None,
        _objects(label) if "objects" in wanted else None,
    )


def _check_values(case: Case, label: np.ndarray, label_values: list[int]) -> None:
    undeclared = label.min(initial=0) < 0 or label.max(initial=0) > label_values[-1]
    if undeclared:
        values = [int(v) for v in np.unique(label) if v not in label_values]
        raise SparseError(
            f"{case.label} holds label values {values[:5]} that dataset.json does not declare "
            f"(declared: {label_values})"
        )


def _shown_in(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """For each axis, which slices show some of a mask."""
    axes = range(mask.ndim)
    return tuple(np.asarray(mask.any(axis=tuple(o for o in axes if o != a))) for a in axes)


def _class_slices(label: np.ndarray, label_values: list[int]) -> tuple[np.ndarray, ...]:
    shown = [_shown_in(label == value) for value in label_values if value > 0]
    return tuple(np.stack(of_axis, axis=1) for of_axis in zip(*shown, strict=True))


def _objects(label: np.ndarray) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Extent of every connected component (26 neighbours) of every label."""
    import cc3d

    small = np.ascontiguousarray(label, np.min_scalar_type(int(label.max(initial=0))))
    components = cc3d.connected_components(small, connectivity=26)
    boxes = cc3d.statistics(components)["bounding_boxes"][1:]  # the first is the background
    return tuple(tuple((s.start, s.stop) for s in box) for box in boxes)
