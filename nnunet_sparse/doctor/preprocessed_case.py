"""What became of the annotated slices of one case in preprocessing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.doctor.plane_survival import lost_slices, stock_planes, stray_planes
from nnunet_sparse.doctor.properties_file import read_properties
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained


@dataclass(frozen=True)
class PreprocessedJob:
    """A raw label and its preprocessed case.

    Attributes
    ----------
    case_id, label, reader
        The raw label.
    folder
        Folder of the preprocessed data, or None if the case is not preprocessed: then only what
        nnU-Net would do is told, without cropping.
    axis
        Slice axis of the raw array.
    ignore_label
        Value of voxels that are not annotated.
    transpose_forward
        Order of the axes after preprocessing.
    configuration
        The configuration of the plans.
    spacing
        Of the raw axes, in mm.
    """

    case_id: str
    label: Path
    reader: str
    folder: Path | None
    axis: int
    ignore_label: int
    transpose_forward: tuple[int, ...]
    configuration: Mapping[str, Any]
    spacing: tuple[float, ...]


@dataclass(frozen=True)
class PreprocessedFacts:
    """Annotated slices of a case, counted.

    Attributes
    ----------
    num_annotated
        In the raw label.
    num_cropped
        Of these, outside the box of the image's non-zero mask.
    lost
        Slices, of the cropped label, that the preprocessed label does not show; None if the case is
        not preprocessed.
    stray
        Annotated planes of the preprocessed label on which no annotated slice lies.
    stock_lost
        Number of slices that nnU-Net's resampling loses.
    """

    num_annotated: int
    num_cropped: int
    lost: tuple[int, ...] | None
    stray: tuple[int, ...]
    stock_lost: int


def read_preprocessed_facts(job: PreprocessedJob) -> PreprocessedFacts:
    """Compare a raw label with its preprocessed one.

    Raises
    ------
    SparseError
        If a file cannot be read, or the label has another shape than when it was preprocessed.
    """
    order = job.transpose_forward
    label = read_label(job.label, job.reader, may_be_flat=True).transpose(order)
    axis = order.index(job.axis)
    whole = annotated_area(label, axis, job.ignore_label)
    seg = None
    if job.folder is not None:
        seg, properties = _load(job.folder, job.case_id)
        if label.shape != tuple(properties["shape_before_cropping"]):
            raise SparseError(
                f"{job.label} has another shape than when it was preprocessed in {job.folder}: "
                "preprocess again"
            )
        box = properties["bbox_used_for_cropping"]
        label = label[tuple(slice(*bounds) for bounds in box)]
    area = annotated_area(label, axis, job.ignore_label)
    spacing = [job.spacing[a] for a in order]
    target = [float(side) for side in job.configuration["spacing"]]
    target = [*spacing[: len(spacing) - len(target)], *target]
    num_targets = (
        round(len(area) * spacing[axis] / target[axis]) if seg is None else seg.shape[axis]
    )
    lost: tuple[int, ...] | None = None
    stray: tuple[int, ...] = ()
    if seg is not None:
        resampled = annotated_area(seg, axis, job.ignore_label)
        lost = tuple(lost_slices(area, resampled))
        stray = tuple(stray_planes(area, resampled))
    num_annotated = int((whole > 0).sum())
    return PreprocessedFacts(
        num_annotated=num_annotated,
        num_cropped=num_annotated - int((area > 0).sum()),
        lost=lost,
        stray=stray,
        stock_lost=_stock_lost(area, axis, max(1, num_targets), spacing, target, job),
    )


def annotated_area(label: np.ndarray, axis: int, ignore_label: int) -> np.ndarray:
    """Share of each plane's voxels that are annotated."""
    others = tuple(a for a in range(label.ndim) if a != axis)
    return np.asarray((label != ignore_label).mean(axis=others))


def _stock_lost(
    area: np.ndarray,
    axis: int,
    num_targets: int,
    spacing: list[float],
    target: list[float],
    job: PreprocessedJob,
) -> int:
    if num_targets == len(area) or not (area < 1).any():
        return 0
    from nnunetv2.preprocessing.resampling.utils import recursive_find_resampling_fn_by_name

    name, arguments = (
        job.configuration[key] for key in ("resampling_fn_seg", "resampling_fn_seg_kwargs")
    )
    with explained(
        lambda error: (
            f"labels cannot be resampled as the plans say, with {name}: {first_line(error)}"
        )
    ):
        resample = recursive_find_resampling_fn_by_name(name)
        planes = stock_planes(area, axis, num_targets, spacing, target, resample, arguments)
    return len(lost_slices((area > 0).astype(float), planes))


def _load(folder: Path, case_id: str) -> tuple[np.ndarray, dict[str, Any]]:
    from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

    properties = read_properties(folder / f"{case_id}.pkl")
    with explained(
        lambda error: (
            f"{case_id} in {folder} cannot be read ({first_line(error)}): preprocess again"
        )
    ):
        data = infer_dataset_class(str(folder))(str(folder), [case_id])
        seg = data.load_case(case_id)[1]
        label = np.asarray(seg[0])
    return label, properties
