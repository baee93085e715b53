"""Scores of one predicted volume against its ground truth."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_sparse.data.geometry import Geometry, read_geometry, spacing_of
from nnunet_sparse.data.label_files import check_complete, is_nifti, label_spacing_file, read_label
from nnunet_sparse.data.placement import disagreement
from nnunet_sparse.data.same_voxels import check_same_voxels
from nnunet_sparse.evaluation.metrics import Counts, Label, count_voxels, label_mask
from nnunet_sparse.evaluation.surface_metrics import SurfaceMetrics, surface_metrics
from nnunet_sparse.system.errors import SparseError

_MM3_PER_ML = 1000


@dataclass(frozen=True)
class CaseFiles:
    """The two segmentation files of a case, and the image that they are of, if it is known."""

    reference: Path
    prediction: Path
    image: Path | None = None


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated, the same for all cases.

    Attributes
    ----------
    labels
        Labels or regions.
    ignore_label
        Value of reference voxels that are left out, or None.
    declared
        Values that a prediction may hold (a reference may hold the ignore label as well), or None
        if any whole number is accepted.
    reader
        Class name of nnU-Net's reader.
    tolerance_mm
        Tolerance of NSD.
    """

    labels: tuple[Label, ...]
    ignore_label: int | None
    declared: frozenset[int] | None
    reader: str
    tolerance_mm: float


@dataclass(frozen=True)
class LabelScores:
    """Scores of one label in one case; volumes are in ml, ignored voxels are left out."""

    counts: Counts
    surface: SurfaceMetrics
    reference_ml: float
    prediction_ml: float


@dataclass(frozen=True)
class CaseScores:
    """Scores of one case; ``num_voxels`` are those that are not ignored."""

    num_ignored: int
    num_voxels: int
    labels: dict[Label, LabelScores]


def evaluate_case(files: CaseFiles, evaluation: Evaluation) -> CaseScores:
    """Read a case, check it, and score every label.

    Raises
    ------
    SparseError
        If a file is damaged, holds values that are not declared, or if the two volumes do not lie
        on the same voxels.
    """
    reader, ignore_label = evaluation.reader, evaluation.ignore_label
    for file in (files.reference, files.prediction):
        if is_nifti(file):
            check_complete(file)
    geometry = _check_position(files, reader)
    reference = read_label(files.reference, reader)
    prediction = read_label(files.prediction, reader)
    if evaluation.declared is not None:
        ignored = () if ignore_label is None else (ignore_label,)
        _check_values(files.reference, reference, evaluation.declared.union(ignored))
        _check_values(files.prediction, prediction, evaluation.declared)

    ignore = None if ignore_label is None else reference == ignore_label
    spacing = spacing_of(geometry, label_spacing_file(files.reference))
    voxel_ml = float(np.prod(spacing)) / _MM3_PER_ML
    scores = {}
    for label in evaluation.labels:
        masks = label_mask(reference, label), label_mask(prediction, label)
        counts = count_voxels(*masks, ignore)
        scores[label] = LabelScores(
            counts,
            surface_metrics(*masks, spacing, evaluation.tolerance_mm, ignore),
            counts.num_reference * voxel_ml,
            counts.num_prediction * voxel_ml,
        )
    num_ignored = 0 if ignore is None else int(np.count_nonzero(ignore))
    return CaseScores(num_ignored, reference.size - num_ignored, scores)


def _check_position(files: CaseFiles, reader: str) -> Geometry:
    """Refuse a prediction that does not lie on its ground truth; return where that lies.

    Where programs see the image at several places, the two may lie at different ones, and each has
    to lie on the image.
    """
    reference, prediction = (read_geometry(f, reader) for f in (files.reference, files.prediction))
    image = _image_geometry(files.image, reader)
    if files.image is None or image is None or disagreement(image) is None:
        check_same_voxels(
            files.prediction, prediction, files.reference, reference, "its ground truth"
        )
    else:
        check_same_voxels(files.reference, reference, files.image, image, "its image")
        check_same_voxels(files.prediction, prediction, files.image, image, "its image")
    return reference


def _image_geometry(image: Path | None, reader: str) -> Geometry | None:
    """Where the image lies; None if that is not known: it is not what is evaluated."""
    if image is None:
        return None
    try:
        return read_geometry(image, reader)
    except SparseError:
        return None


def _check_values(file: Path, segmentation: np.ndarray, declared: Iterable[int]) -> None:
    unknown = segmentation[~np.isin(segmentation, list(declared))]
    if unknown.size:
        raise SparseError(
            f"{file} holds the label value {unknown[0]}, expected are {sorted(declared)}"
        )
