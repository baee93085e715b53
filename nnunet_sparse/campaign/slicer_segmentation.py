"""Segmentations of 3D Slicer (``CASE.seg.nrrd``), whose segments are called like the labels."""

from pathlib import Path

import numpy as np

from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.campaign.label_volume import voxels_of
from nnunet_sparse.campaign.segment_canvas import SegmentCanvas
from nnunet_sparse.data.label_files import to_integers
from nnunet_sparse.system.errors import SparseError

SLICER_ENDING = ".seg.nrrd"


def read_slicer_segmentation(case: AnnotatedCase, file: Path) -> np.ndarray:
    """Read the segments as the annotation of the slices asked for, and of others they reach into.

    Returns
    -------
    np.ndarray, shape (z, y, x), unsigned integers
        On the voxels of the image.

    Raises
    ------
    SparseError
        If the file cannot be read or lies elsewhere than its image, or a segment with
        voxels is called like no label or overlaps one of another label.
    """
    from nnunet_sparse.data.geometry import geometry_of
    from nnunet_sparse.data.itk_volumes import read_itk_volume
    from nnunet_sparse.data.slicer_segments import read_segments

    image = read_itk_volume(file)
    layers = voxels_of(image).reshape(*reversed(image.GetSize()), -1)  # [z, y, x, layer]
    values: list[dict[int, int | SparseError]] = [{} for _ in range(layers.shape[-1])]
    for segment in read_segments(image, file):
        value = case.value_of(segment.name, file)
        if not 0 <= segment.layer < len(values):
            raise SparseError(f"{file}: segment {segment.name!r} lies in a missing layer")
        if values[segment.layer].setdefault(segment.value, value) != value or segment.value == 0:
            raise SparseError(f"{file}: segment {segment.name!r} has no value of its own")
        values[segment.layer][segment.value] = value
    canvas = SegmentCanvas(case, file)
    for layer, numbers in enumerate(values):
        canvas.paint(to_integers(layers[..., layer], file), numbers, geometry_of(image))
    return canvas.label()
